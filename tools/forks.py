"""Work in forks of this process: each has loaded at once what this one has, and nothing that it changes comes back."""
import os
import sys
import traceback


def fork(work, printed):
    """Begin `work()` in a fork of this process, a session of its own without input, which prints into the open file `printed`.

    Its exit code is what `work` returns, or 1 after an error, whose traceback is printed. Return the number of the process.
    This process must have one thread only: a lock that another one holds would stay locked in the fork."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setsid()
        for descriptor, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, printed.fileno()), (2, printed.fileno())):
            os.dup2(file, descriptor)
        sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), *(open(at, "w", closefd=False, buffering=1) for at in (1, 2))
        code = work()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0 if done.code is None else 1
        if isinstance(done.code, str):
            print(done.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the way out of this function belongs to the process that was forked
