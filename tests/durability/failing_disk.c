/* Lets one system call fail below Python, as a failing disk does, or take long: loaded with LD_PRELOAD.
 *
 * The file that FAILING_DISK names says what fails: "CALL ERRNO SUFFIX", as in "fdatasync 5 .wal"; with a number
 * below zero the call is made after so many milliseconds. While the file is absent nothing happens. Each call that was made to fail adds a byte to the file of the same name with ".count".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char *call, int fd)
{
    const char *control = getenv("FAILING_DISK");
    char link[64], path[PATH_MAX], counter[PATH_MAX], wanted[32], suffix[64];
    int error = 0, saved = errno;
    if (control == NULL)
        return 0;
    FILE *file = fopen(control, "re");
    if (file == NULL) {
        errno = saved;
        return 0;
    }
    int read = fscanf(file, "%31s %d %63s", wanted, &error, suffix);
    fclose(file);
    errno = saved;
    if (read != 3 || strcmp(wanted, call) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    size_t tail = strlen(suffix);
    if ((size_t)length < tail || strcmp(path + length - tail, suffix) != 0)
        return 0;
    snprintf(counter, sizeof counter, "%s.count", control);
    int count = open(counter, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (count >= 0) {
        if (write(count, "x", 1) != 1)
            abort();
        close(count);
    }
    if (error < 0) {
        usleep((useconds_t)-error * 1000);
        errno = saved;
        return 0;
    }
    errno = error;
    return 1;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails("fdatasync", fd) ? -1 : real(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (real == NULL)
        real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    return fails("pwrite", fd) ? -1 : real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}
