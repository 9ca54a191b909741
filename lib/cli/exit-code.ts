/** What the process's exit code says. */
export const ExitCode = {
  done: 0,
  failure: 1,
  /** The command line or a configuration is wrong; nothing was begun. */
  badUsage: 2,
  /** 128 + SIGHUP: the terminal was closed. */
  hungUp: 129,
  /** Ctrl-C, as shells write it: 128 + SIGINT. */
  interrupted: 130,
  /** 128 + SIGPIPE. */
  brokenPipe: 141,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const
