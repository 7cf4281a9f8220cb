/*
 * Reading a file whole, and its lines one by one.
 */
#include "policy/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

/* All of the file, or up to size bytes should it grow meanwhile. */
static const char *read_all(int file, size_t size, struct conf_file *out)
{
    ssize_t count;

    out->text = malloc(size + 1);
    if (!out->text)
        return "out of memory";
    while (out->length < size) {
        count = read(file, out->text + out->length, size - out->length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return strerrordesc_np(errno);
        if (count == 0)
            break;
        out->length += (size_t)count;
    }
    out->text[out->length] = '\0';
    return NULL;
}

/* The mode comes from the descriptor, so that it is that of what was read. */
const char *conf_file_read(const char *path, struct conf_file *out)
{
    /* Without O_NONBLOCK a FIFO would hang a reload. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *trouble = NULL;
    struct stat status;

    *out = (struct conf_file){0};
    if (file < 0)
        return strerrordesc_np(errno);
    if (fstat(file, &status) < 0)
        trouble = strerrordesc_np(errno);
    else if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) /* /dev/null is empty */
        trouble = "not a regular file";
    else if (status.st_size > FILE_MAX)
        trouble = "larger than 64 MB";
    else
        trouble = read_all(file, (size_t)status.st_size, out);
    out->mode = trouble ? 0 : status.st_mode;
    if (trouble) {
        free(out->text);
        out->text = NULL;
    }
    close(file);
    return trouble;
}

const char *conf_file_read_text(const char *path, struct conf_file *out)
{
    const char *trouble = conf_file_read(path, out);

    if (!trouble && strlen(out->text) != out->length) {
        trouble = "holds a NUL byte";
        free(out->text);
        out->text = NULL;
    }
    return trouble;
}

char *conf_file_line(char **rest, unsigned *line)
{
    char *text;

    while ((text = strsep(rest, "\n"))) {
        ++*line;
        text[strcspn(text, "#")] = '\0';
        text += strspn(text, " \t\r");
        for (size_t length = strlen(text); length > 0 && strchr(" \t\r", text[length - 1]);)
            text[--length] = '\0';
        if (*text)
            return text;
    }
    return NULL;
}
