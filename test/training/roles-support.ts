/** Roles on swarms of any kind, each in a loop of its own as on machines of their own. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LeasePlanner, ShardCache } from '../../lib/data/index.js'
import { pathComponent, type ArtifactId } from '../../lib/schema/index.js'
import type { Swarm } from '../../lib/swarm/index.js'
import { announcedUpdates, canonicalHead, Trainer, Validator } from '../../lib/training/index.js'
import type { Run } from './support.js'

/** A trainer of a run's experiment, with a shard cache of its own. */
export async function trainerOf(run: Run, swarm: Swarm): Promise<Trainer> {
  const { project, experiment } = run
  const registration = await project.datasetRegistration()
  const cache = join(run.folder, 'caches', pathComponent(swarm.peerId))
  await mkdir(cache, { recursive: true })
  return new Trainer({
    project,
    experiment,
    swarm,
    cache: new ShardCache(cache),
    planner: new LeasePlanner(),
    registration,
    plan: await project.microshardPlan(registration),
    localState: null,
  })
}

/**
 * Trains windows: each role acts on what its own swarm knows, and on nothing else.
 *
 * @returns the artifacts that were promoted, the genesis first
 */
export async function trainOnSwarms(
  run: Run,
  validators: Swarm,
  trainers: readonly Swarm[],
  windows: number,
): Promise<ArtifactId[]> {
  const { project, experiment } = run
  const validator = new Validator({ project, experiment, swarm: validators })
  const ids = [(await validator.genesis(run.peers[0]!)).artifact.artifact_id]

  const train = async (swarm: Swarm) => {
    const trainer = await trainerOf(run, swarm)
    for (let window = 1; window <= windows; window++) {
      const canonical = await until(() => {
        const known = canonicalHead(swarm.announcements, experiment)
        return known?.head.global_step === window - 1 ? known.head : undefined
      })
      await trainer.window(window, canonical)
    }
    return trainer
  }

  const validate = async () => {
    for (let window = 1; window <= windows; window++) {
      const base = canonicalHead(validators.announcements, experiment)!.head
      await until(
        () =>
          announcedUpdates(validators.announcements, experiment, window, base).length ===
            trainers.length || undefined,
      )
      const { contributions, left } = await validator.collect(window, base)
      for (const { error } of left) throw error
      ids.push((await validator.promote(window, base, contributions)).artifact.artifact_id)
    }
  }

  const trained = Promise.all(trainers.map(train))
  await Promise.all([validate(), trained])
  const done = await trained
  for (const trainer of done) await trainer.close()
  validator.close()
  return ids
}

async function until<T>(find: () => T | undefined): Promise<T> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const found = find()
    if (found !== undefined) return found
    await sleep(10)
  }
  throw new Error('what a role waits for has not come')
}
