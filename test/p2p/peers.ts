/** Whole peers for tests, and announcements that they make. */
import { join } from 'node:path'
import type { P2pError } from '../../lib/p2p/errors.js'
import { createNode, type NodeOptions, type TrainingNode } from '../../lib/p2p/create-node.js'
import { timestampNow } from '../../lib/schema/index.js'
import { experimentOverlay, type HeadAnnouncement } from '../../lib/schema/records/network/index.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import { afterTest, NETWORK, testFolder } from './nodes.js'

export const EXPERIMENT = {
  network_id: NETWORK,
  study_id: 'study-1',
  experiment_id: 'exp-1',
} as const

export const REVISION = 'rev-1'

/** A peer, and what it complained of. */
export type TestPeer = TrainingNode & { readonly problems: P2pError[]; readonly peerId: string }

/** A started peer with a folder of its own, unless it is given one. */
export async function startPeer(options: Partial<NodeOptions> = {}): Promise<TestPeer> {
  const folder = options.folder ?? (await testFolder())
  const problems: P2pError[] = []
  const node = await createNode({
    network: NETWORK,
    experiments: [EXPERIMENT],
    roles: ['TrainerCpu'],
    store: new FsArtifactStore(join(folder, 'store'), { durability: 'none' }),
    onProblem: (error) => problems.push(error),
    ...options,
    folder,
  })
  afterTest(() => node.stop())
  return Object.assign(node, { problems, peerId: node.training.peerId })
}

/** A head that a peer has. */
export function headOf(
  provider: string,
  head_id: string,
  artifact_id: string,
  step = 0,
  parent_head_id: string | null = null,
): { readonly Head: HeadAnnouncement } {
  const now = timestampNow()
  return {
    Head: {
      overlay: experimentOverlay(EXPERIMENT, 'Heads'),
      provider_peer_id: provider,
      head: {
        head_id,
        study_id: EXPERIMENT.study_id,
        experiment_id: EXPERIMENT.experiment_id,
        revision_id: REVISION,
        artifact_id,
        parent_head_id,
        global_step: step,
        created_at: now,
        metrics: {},
      },
      announced_at: now,
    },
  }
}

/** The ids of the heads that a peer knows. */
export function headsOf({ training }: TrainingNode): string[] {
  return training.announcements.of('Head').map(({ head }) => head.head_id)
}
