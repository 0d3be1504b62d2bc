/* SPDX-License-Identifier: MIT */
/* energat: ask energatd which program used how many joules. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "text.h"

#define WHY_MAX 512

static const struct command *const commands[] = {
#define ROW(name) &command_##name,
        COMMANDS(ROW)
#undef ROW
                NULL,
};

static void print_usage(FILE *out, const struct command *command)
{
        const char *lead = "usage:";

        for (size_t i = 0; commands[i]; i++) {
                if (command && commands[i] != command)
                        continue;
                fprintf(out, "%-6s energat %s\n", lead, commands[i]->usage);
                lead = "";
        }
}

static void print_help(const struct command *command)
{
        uint32_t options = 0;

        print_usage(stdout, command);
        putchar('\n');
        for (size_t i = 0; commands[i]; i++) {
                if (command && commands[i] != command)
                        continue;
                printf("  %s%-*s %s\n", commands[i]->is_verb ? "" : "--",
                       commands[i]->is_verb ? 22 : 20, commands[i]->name, commands[i]->summary);
                options |= commands[i]->options;
        }
        if (options)
                putchar('\n');
        options_print_help(stdout, options);
}

/*
 * A caller may have closed 0, 1 or 2.  Then a socket of ours would get that number, and messages
 * meant for a person would go to the daemon.  Close-on-exec: CMD finds them closed as before.
 */
static int fill_standard_descriptors(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
                        return -errno;
        return 0;
}

int main(int argc, char **argv)
{
        const struct command *command = NULL;
        struct options options;
        char why[WHY_MAX];

        if (fill_standard_descriptors() < 0)
                return STATUS_FAILED;          /* and nowhere to say so */
        setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* lines in one piece, beside those of CMD */
        /* Nothing but LC_CTYPE, to know UTF-8: with LC_NUMERIC a reader of ours might have to
         * parse "7,99", and strtod() would refuse "0.3". */
        setlocale(LC_CTYPE, "");

        if (options_parse(&options, argc, argv, commands, &command, why, sizeof(why)) < 0) {
                text_message("%s", why);
                print_usage(stderr, command);
                fprintf(stderr, "'energat --help' says more\n");
                return STATUS_USAGE;
        }
        if (options.help) {
                print_help(command);
                return command_finish_output();
        }
        return command->run(&options);
}
