/* SPDX-License-Identifier: MIT */
/* energat: ask energatd which program used how many joules. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "settings.h"
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
        if (command)
                fprintf(out, "usage: energat %s\n", command->usage);
        else
                fprintf(out, "usage: energat COMMAND [options]\n");
}

/* One screen of 80 x 24, with what most people need above the rest. */
static void print_commands(void)
{
        print_usage(stdout, NULL);
        puts("\nwhat most people need:\n"
             "  energat run -- CMD ARGS  run CMD and say how many joules it used\n"
             "  energat top              watch which programs use power now\n"
             "  energat check            can this machine be measured, and what to do if not\n"
             "\ncommands:");
        for (size_t i = 0; commands[i]; i++)
                printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
        puts("\n'energat COMMAND --help' says more.  EnergAt's --basepower, --pid PID work, too.");
}

static void print_help(const struct command *command)
{
        print_usage(stdout, command);
        printf("\n%s\n", command->summary);
        if (command->details)
                printf("\n%s", command->details);
        if (command->options) {
                puts("\noptions:");
                options_print_help(stdout, command);
        }
        if (command->example)
                printf("\nexample:\n%s", command->example);
}

/*
 * A caller may have closed 0, 1 or 2.  Then a socket of ours would get that number, and messages
 * meant for a person would go to the daemon.  What is put there instead cannot be read or written,
 * as a closed descriptor cannot (EBADF, for O_PATH): a result with nowhere to go is an error.  It
 * is a directory, for /dev/stdout shall not be opened anew either.  Close-on-exec: CMD finds them
 * closed as before.
 */
static int fill_standard_descriptors(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) < 0)
                        return -errno;
        return 0;
}

/* Files, environment, then the command line.  What is wrong with the first two goes to *messages,
 * to be told once it is known that it matters. */
static int load_settings(struct settings *settings, char **messages)
{
        size_t size = 0;
        FILE *stream = open_memstream(messages, &size);
        int r;

        if (!stream)
                return -errno;
        r = settings_load(settings, stream);
        if (fclose(stream) != 0 && r == 0)
                r = -errno;
        return r;
}

static void tell_settings(const char *messages)
{
        char line[WHY_MAX + SETTINGS_PLACE_MAX];

        for (const char *p = messages; p && *p;) {
                size_t length = strcspn(p, "\n");

                snprintf(line, sizeof(line), "%.*s", (int)length, p);
                text_message("%s", line);
                p += length + (p[length] == '\n');
        }
}

int main(int argc, char **argv)
{
        static struct settings settings;
        const struct command *command = NULL;
        struct options options;
        char why[WHY_MAX], *messages = NULL;
        int loaded, status;

        if (fill_standard_descriptors() < 0)
                return STATUS_FAILED;          /* and nowhere to say so */
        setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* lines in one piece, beside those of CMD */
        /* Nothing but LC_CTYPE, to know UTF-8: with LC_NUMERIC a reader of ours might have to
         * parse "7,99", and strtod() would refuse "0.3". */
        setlocale(LC_CTYPE, "");

        loaded = load_settings(&settings, &messages);
        if (options_parse(&options, &settings, argc, argv, commands, &command, why, sizeof(why)) <
            0) {
                text_message("%s", why);
                print_usage(stderr, command);
                fprintf(stderr, "'energat %s%s--help' says more\n", command ? command->name : "",
                        command ? " " : "");
                status = STATUS_USAGE;
        } else if (options.help) {
                if (command)
                        print_help(command);
                else
                        print_commands();
                status = command_finish_output();
        } else {
                if (!command->needs_nothing)
                        tell_settings(messages);
                if (loaded < 0 && !command->needs_nothing)
                        status = STATUS_USAGE;
                else
                        status = command->run(&options);
        }
        free(messages);
        return status;
}
