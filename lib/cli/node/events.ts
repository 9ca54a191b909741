/** What `torchbed node` tells, one event at a time. docs/reference/cli.md lists them. */

import type { Metrics } from '../../schema/index.js'
import type { ErrorReport } from '../report-error.js'

/** The roles that need no model, with what they call themselves in the network. */
export const ROLES = { viewer: 'Viewer', archive: 'Archive', bootstrap: 'Bootstrap' } as const

/** An event, as `--json` prints it. */
export type NodeEvent =
  | {
      readonly event: 'listening'
      readonly network: string
      readonly peerId: string
      readonly role: string
      readonly addresses: readonly string[]
    }
  | { readonly event: 'peer'; readonly peerId: string; readonly agent: string }
  | { readonly event: 'left'; readonly peerId: string }
  | {
      readonly event: 'head'
      readonly head: string
      readonly step: number
      readonly artifact: string
      readonly provider: string | null
      readonly metrics: Metrics
    }
  | { readonly event: 'promoted'; readonly head: string; readonly by: string }
  | {
      readonly event: 'kept'
      readonly head: string
      readonly artifact: string
      readonly bytes: number
      readonly fetchedBytes: number
      readonly milliseconds: number
    }
  | ({ readonly event: 'problem' | 'error' } & ErrorReport)
  | { readonly event: 'interrupted'; readonly signal: string }

/** Shows events. */
export type NodeReporter = (event: NodeEvent) => void
