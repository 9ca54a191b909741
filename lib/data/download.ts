/** Downloads over HTTP that cannot hang, wander off, or fill the memory. */

import { TorchbedError } from '../errors.js'
import { MAX_HTTP_REDIRECTS } from './constants.js'
import { DataHttpError } from './errors.js'
import { throwIfAborted } from '../core/abort.js'

/** How long a server may take, in milliseconds. */
export interface HttpTimeouts {
  /** Longest silence, before the answer and between pieces. */
  readonly idleMs: number
  /** Longest time for the whole file. */
  readonly totalMs: number
}

/** What a download takes. */
export interface DownloadOptions {
  readonly timeouts: HttpTimeouts
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** Looks at status and headers before the body is read; throws to refuse, returns false for no body. */
  readonly accept: (response: Response) => boolean
}

/**
 * The body of what a GET answers, piece by piece, after redirects within the scheme of `url`.
 *
 * @throws DataHttpError when the server cannot be reached, redirects badly, breaks off or exceeds a timeout
 * @throws AbortError when the signal fires
 * @throws what `accept` throws
 */
export async function* download(
  url: URL,
  { timeouts, headers = {}, signal, accept }: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  throwIfAborted(signal, `fetch ${url.href}`)
  const watch = new Watch(url, timeouts, signal)
  try {
    const response = await get(url, headers, watch.signal)
    watch.pause()
    if (!accept(response) || response.body === null) return
    watch.resume()
    for await (const piece of response.body) {
      // The reader's own slowness is not the server's silence.
      watch.pause()
      yield piece as Uint8Array
      watch.resume()
    }
  } catch (error) {
    throw watch.explain(error)
  } finally {
    watch.close()
  }
}

/** Whether a status is a redirect that a GET follows. */
const isRedirect = (status: number) => [301, 302, 303, 307, 308].includes(status)

async function get(
  start: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  let url = start
  for (let redirects = 0; redirects <= MAX_HTTP_REDIRECTS; redirects++) {
    const response = await fetch(url, {
      headers: { 'accept-encoding': 'identity', ...headers },
      redirect: 'manual',
      signal,
    })
    const location = response.headers.get('location')
    if (!isRedirect(response.status) || location === null) return response
    await response.body?.cancel()
    const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined
    if (target?.protocol !== start.protocol) {
      throw new DataHttpError(
        `${url.href} redirects to ${JSON.stringify(location)}, away from ${start.protocol}; ` +
          'only redirects within one scheme are followed: give the right base_url',
        start.href,
        response.status,
      )
    }
    url = target
  }
  throw new DataHttpError(
    `${start.href} redirects more than ${MAX_HTTP_REDIRECTS} times; give the final base_url`,
    start.href,
  )
}

/** Aborts a request for the first of three reasons, and remembers which. */
class Watch {
  readonly #url: URL
  readonly #timeouts: HttpTimeouts
  readonly #outer: AbortSignal | undefined
  readonly #controller = new AbortController()
  readonly #total: NodeJS.Timeout
  #idle: NodeJS.Timeout | undefined
  #timeout: string | undefined

  constructor(url: URL, timeouts: HttpTimeouts, outer: AbortSignal | undefined) {
    this.#url = url
    this.#timeouts = timeouts
    this.#outer = outer
    outer?.addEventListener('abort', this.#abort)
    this.#total = setTimeout(() => {
      this.#expire(`took longer than ${timeouts.totalMs} ms`)
    }, timeouts.totalMs)
    this.resume()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  resume(): void {
    const { idleMs } = this.#timeouts
    this.#idle = setTimeout(() => {
      this.#expire(`sent nothing for ${idleMs} ms`)
    }, idleMs)
  }

  pause(): void {
    clearTimeout(this.#idle)
  }

  /** Ends a request that still runs. */
  close(): void {
    this.pause()
    clearTimeout(this.#total)
    this.#outer?.removeEventListener('abort', this.#abort)
    this.#abort()
  }

  /** The error to throw for what a request threw. */
  explain(error: unknown): unknown {
    if (error instanceof TorchbedError) return error
    throwIfAborted(this.#outer, `fetch ${this.#url.href}`)
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const reason =
      this.#timeout ?? `failed: ${cause instanceof Error ? cause.message : String(cause)}`
    return new DataHttpError(`${this.#url.href} ${reason}; try again`, this.#url.href, undefined, {
      cause: error,
    })
  }

  readonly #abort = () => {
    this.#controller.abort()
  }

  #expire(reason: string): void {
    this.#timeout = reason
    this.#abort()
  }
}
