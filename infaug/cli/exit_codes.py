"""What an exit code says; `infaug --help` and docs/commands.md tell users the same."""

BAD_INPUT = 2  # a command line, a setting or an input that cannot work
SOME_FAILED = 3  # done, but not all of what was asked for
INTERRUPTED = 130  # the same command continues
UNREAD = 141  # whoever read the output had enough: as of a program that SIGPIPE ends
