/** torchbed and another bridge, each in a separate process, asked in turn. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { PythonInstallation } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import type { Places } from './bridge.js'
import type { Answer, Operation } from './operations.js'
import { pythonPrograms, type OtherPackage } from './packages.js'
import { Peer } from './peer.js'

/** The other bridge cannot do it. That torchbed cannot is an ordinary error: the benchmark fails. */
export class CannotDoIt extends Error {
  override readonly name = 'CannotDoIt'
}

/** The numbers of one side, per round. */
export interface Sides<T> {
  readonly ours: T
  readonly theirs: T
}

export class Pair {
  readonly #other: OtherPackage
  readonly #places: Places
  readonly #programs: string
  #ours: Peer | undefined
  #theirs: Peer | undefined

  /** packages: the folder where the other package is installed. */
  static async make(
    other: OtherPackage,
    python: PythonInstallation,
    packages: string,
  ): Promise<Pair> {
    const root = packageRoot()
    const [major, minor] = python.versionInfo
    const modules = join(root, 'bench', 'others', 'python')
    const places: Places = {
      python: python.executable,
      sitePackages: join(python.prefix, 'lib', `python${major}.${minor}`, 'site-packages'),
      modules: [
        modules,
        join(root, 'bench', 'workloads'),
        join(root, 'examples', 'digits'),
        join(root, 'python'),
      ],
      plainCalls: join(modules, 'plain_calls.py'),
      packages,
    }
    // Named early, should a folder be gone: a bridge would say it less clearly.
    await Promise.all(places.modules.map((folder) => readdir(folder)))
    return new Pair(other, places, pythonPrograms(python))
  }

  private constructor(other: OtherPackage, places: Places, programs: string) {
    this.#other = other
    this.#places = places
    this.#programs = programs
  }

  /** The Python that both run. */
  get python(): string {
    return this.#places.python
  }

  /** Starts fresh processes; from nothing to the first answered call, in milliseconds. */
  async restart(): Promise<Sides<number>> {
    await this.close()
    this.#ours = await Peer.start('torchbed', this.#places)
    const path = this.#other.compiled ? this.#programs : undefined
    this.#theirs = await orCannot(Peer.start(this.#other.name, this.#places, path))
    return { ours: this.#ours.startupMs, theirs: this.#theirs.startupMs }
  }

  /** Starts them again should one have ended, or been killed for being late. */
  async revive(): Promise<void> {
    if (this.#ours?.alive !== true || this.#theirs?.alive !== true) await this.restart()
  }

  /** Asks both, one after the other. */
  async ask(operation: Operation): Promise<Sides<Answer>> {
    return { ours: await this.#askOurs(operation), theirs: await this.#askTheirs(operation) }
  }

  /**
   * Asks both in turn, `rounds` times after one that is not counted; the answers of each round. Fewer
   * rounds, at least one, when `budgetMs` would not suffice.
   */
  async measure(
    operation: Operation,
    rounds: number,
    budgetMs = Infinity,
  ): Promise<Sides<readonly Answer[]>> {
    const ours: Answer[] = []
    const theirs: Answer[] = []
    const sides = [
      async () => ours.push(await this.#askOurs(operation)),
      async () => theirs.push(await this.#askTheirs(operation)),
    ]
    let wanted = rounds
    for (let round = 0; round <= wanted; round++) {
      const began = performance.now()
      // The order turns, so that neither always follows the other.
      for (const ask of round % 2 === 0 ? sides : sides.toReversed()) await ask()
      const took = performance.now() - began
      if (round === 0) wanted = Math.max(1, Math.min(rounds, Math.floor(budgetMs / took)))
    }
    return { ours: ours.slice(1), theirs: theirs.slice(1) }
  }

  async close(): Promise<void> {
    await Promise.all([this.#ours?.close(), this.#theirs?.close()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #askOurs(operation: Operation): Promise<Answer> {
    if (this.#ours === undefined) throw new Error('The pair has not been started')
    return this.#ours.ask(operation)
  }

  #askTheirs(operation: Operation): Promise<Answer> {
    if (this.#theirs === undefined) throw new Error('The pair has not been started')
    return orCannot(this.#theirs.ask(operation))
  }
}

async function orCannot<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new CannotDoIt(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}
