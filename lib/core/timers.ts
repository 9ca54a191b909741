/** The bound of Node's timers. */

/** Longest delay that Node's timers take, in milliseconds; longer ones fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1
