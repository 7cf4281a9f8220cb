-- One session as miltertest plays the mail server: every stage, and each kind of verdict.
-- miltertest -D socket=unix:PATH -s session.lua

local function want(what, got, wanted)
    if got ~= wanted then
        error(what .. ": got " .. tostring(got) .. ", wanted " .. tostring(wanted))
    end
end

local conn = mt.connect(socket)
if conn == nil then error("cannot connect to " .. socket) end
want("negotiate", mt.negotiate(conn, nil, nil, nil), nil)
want("no body", mt.test_option(conn, SMFIP_NOBODY), true)
want("headers", mt.test_option(conn, SMFIP_NOHDRS), false)
want("the DATA stage", mt.test_option(conn, SMFIP_NODATA), false)
want("adds headers", mt.test_action(conn, SMFIF_ADDHDRS), true)
want("changes headers", mt.test_action(conn, SMFIF_CHGHDRS), true)

mt.macro(conn, SMFIC_CONNECT, "_", "mail.example.net [198.51.100.7]",
         "{daemon_addr}", "192.0.2.20", "{daemon_port}", "25", "v", "Postfix 3.7.11")
want("connect", mt.conninfo(conn, "mail.example.net", "198.51.100.7"), nil)
want("helo", mt.helo(conn, "mail.example.net"), nil)
want("mail", mt.mailfrom(conn, "<a@example.net>"), nil)
want("mail's reply", mt.getreply(conn), SMFIR_CONTINUE)

mt.rcptto(conn, "<accept@example.com>")
want("accept", mt.getreply(conn), SMFIR_CONTINUE)
mt.rcptto(conn, "<defer@example.com>")
want("defer", mt.getreply(conn), SMFIR_REPLYCODE)
mt.rcptto(conn, "<reject@example.com>")
want("reject", mt.getreply(conn), SMFIR_REPLYCODE)
mt.rcptto(conn, "<filter@example.com>")
want("filter", mt.getreply(conn), SMFIR_CONTINUE)
mt.rcptto(conn, "<tag@example.com>")
want("tag", mt.getreply(conn), SMFIR_CONTINUE)
mt.rcptto(conn, "<hold@example.com>")
want("hold", mt.getreply(conn), SMFIR_CONTINUE)

mt.macro(conn, 84, "i", "4bXlua")
want("data", mt.data(conn), nil)
want("data's reply", mt.getreply(conn), SMFIR_CONTINUE)
mt.header(conn, "X-MX-Warden", "forged")
mt.header(conn, "Subject", "test")
mt.eoh(conn)
want("end", mt.eom(conn), nil)
want("end's reply", mt.getreply(conn), SMFIR_CONTINUE)
want("the forged header goes", mt.eom_check(conn, MT_HDRDELETE, "X-MX-Warden"), true)
want("the header", mt.eom_check(conn, MT_HDRADD, "X-MX-Warden",
     "bypass; domain=example.com; mx=mx2.example.com"), true)
want("the hold", mt.eom_check(conn, MT_QUARANTINE, "bypass"), true)
mt.disconnect(conn)
