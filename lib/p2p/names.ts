/** Protocol ids and topics of a network, all derived from its id alone (spec network#protocol-ids). */

import { ConfigError } from '../errors.js'

/** The one request/response protocol that burn_p2p registers. */
export function controlProtocol(network: string): string {
  return `/burn-p2p/${checkedNetwork(network)}/v1/control`
}

/** The protocol by which peers of ours ask each other for a proof over a fresh nonce. */
export function admissionProtocol(network: string): string {
  return `/torchbed/${checkedNetwork(network)}/admission/1`
}

/** The protocol by which peers of ours fetch chunks from each other. */
export function transferProtocol(network: string): string {
  return `/torchbed/${checkedNetwork(network)}/transfer/1`
}

/**
 * The network id, which becomes a part of every protocol id.
 *
 * @throws ConfigError when it is empty or has a slash
 */
function checkedNetwork(network: string): string {
  if (network !== '' && !network.includes('/')) return network
  throw new ConfigError('Cannot name the protocols', [
    {
      path: 'network',
      message: `a network id is a text without a slash, not ${JSON.stringify(network)}`,
    },
  ])
}
