/**
 * The outer step: plain arithmetic in binary32, each operation rounded in the order written and none fused, so that
 * all replicas have the same bits.
 */
import { ConfigError } from '../errors.js'
import { VoidRoundError } from './errors.js'
import { borrow, checkLengths } from './memory.js'
import { numerics, type Fault, type StateArguments, type StepArguments } from './numerics.js'

/**
 * The outer optimizer. Scalars are rounded to binary32 first; weight decay is decoupled and comes before the step:
 * theta * (1 - lr * weightDecay).
 *
 * - `sgd`: theta - lr * g
 * - `momentum`: m = g in the first step, else momentum * m + g; theta - lr * m
 * - `nesterov`: m as before; theta - lr * (g + momentum * m), as torch.optim.SGD
 * - `adamw`: as torch.optim.AdamW, with the moments m and v
 */
export type OuterOptimizer =
  | { readonly kind: 'sgd'; readonly lr: number; readonly weightDecay?: number }
  | {
      readonly kind: 'momentum' | 'nesterov'
      readonly lr: number
      readonly momentum: number
      readonly weightDecay?: number
    }
  | {
      readonly kind: 'adamw'
      readonly lr: number
      /** Default 0.9 and 0.95. */
      readonly betas?: readonly [number, number]
      /** Default 1e-8. */
      readonly epsilon?: number
      readonly weightDecay?: number
    }

/** As DiLoCo recommends (arXiv 2311.08105). */
export const DEFAULT_OUTER: OuterOptimizer = { kind: 'nesterov', lr: 0.7, momentum: 0.9 }

/** What is replicated: parameters and moments of one length. */
export interface OuterState {
  readonly theta: Float32Array
  /** Null for `sgd`, and for it alone. */
  readonly m: Float32Array | null
  /** Of `adamw` alone. */
  readonly v: Float32Array | null
  /** Steps taken. */
  readonly steps: number
}

/** Where a new state goes. */
export type OuterMemory = Pick<OuterState, 'theta' | 'm' | 'v'>

const KINDS = { sgd: 0, momentum: 1, nesterov: 2, adamw: 3 } as const

/** The state before the first step: these parameters, and moments of zero. */
export function initialOuterState(outer: OuterOptimizer, theta: Float32Array): OuterState {
  return { theta, ...momentsFor(outer, theta.length), steps: 0 }
}

/** The arrays of a state in the order in which its root hashes them. */
export function arraysOf({ theta, m, v }: OuterMemory): Float32Array[] {
  return [theta, m, v].filter((array) => array !== null)
}

/**
 * One outer step with the gradient `g`, the mean of what peers moved away from their base.
 *
 * @param into where the new state goes; default: new memory. With the state's own arrays it costs a second pass, as
 *   nothing may be changed before all of it is known to be finite
 * @throws VoidRoundError when a new value is not finite; nothing is changed then
 * @throws ConfigError when the optimizer's numbers are not possible, or the state is another optimizer's
 * @throws NumericsMemoryError when an array cannot be borrowed, or has a wrong length
 */
export async function outerStep(
  outer: OuterOptimizer,
  state: OuterState,
  g: Float32Array,
  into?: OuterMemory,
): Promise<OuterState> {
  checkLengths(state.theta.length, { g })
  return stepWith(outer, state, { g }, into, (step, arrays) =>
    numerics().step(...step, ...arrays, g),
  )
}

/** A step by whatever native function: into new memory, or after a pass that writes nothing. */
export async function stepWith(
  outer: OuterOptimizer,
  state: OuterState,
  reads: Parameters<typeof borrow>[0],
  into: OuterMemory | undefined,
  native: (step: StepArguments, arrays: StateArguments) => Promise<Fault | null>,
  refuse: (fault: Fault | null) => void = refuseVoid,
): Promise<OuterState> {
  const step = stepArguments(outer, state.steps + 1)
  checkState(outer, state)
  const count = state.theta.length
  const target = into ?? { theta: new Float32Array(count), ...momentsFor(outer, count) }
  checkState(outer, target)
  checkLengths(count, { 'into.theta': target.theta, 'into.m': target.m, 'into.v': target.v })
  const { theta, m, v } = state
  const own = arraysOf(state)
  const writesOwn = arraysOf(target).some((array) => own.some((it) => it.buffer === array.buffer))
  const run = (writes: OuterMemory | null) =>
    borrow(
      { ...reads, theta, m, v },
      { 'into.theta': writes?.theta, 'into.m': writes?.m, 'into.v': writes?.v },
      () =>
        native(step, [theta, m, v, writes?.theta ?? null, writes?.m ?? null, writes?.v ?? null]),
    )
  if (writesOwn) refuse(await run(null))
  refuse(await run(target))
  return { theta: target.theta, m: target.m, v: target.v, steps: state.steps + 1 }
}

/**
 * What a peer goes on with where a round is decided while it trains: fl(fl(alpha * local) + fl(fl(1 - alpha) * base)).
 *
 * @param alpha 0 for the new base alone; Streaming DiLoCo mixes with 0.5
 * @param into where to, `local` itself too; default: new memory
 * @throws ConfigError when alpha is not in 0..1
 */
export async function mix(
  local: Float32Array,
  base: Float32Array,
  alpha: number,
  into: Float32Array = new Float32Array(local.length),
): Promise<Float32Array> {
  if (!(alpha >= 0 && alpha <= 1)) {
    throw new ConfigError('Cannot mix parameters', [
      { path: 'alpha', message: `must be in 0..1, not ${alpha}` },
    ])
  }
  checkLengths(local.length, { base, into })
  await borrow({ local, base }, { into }, () => numerics().mix(local, base, alpha, into))
  return into
}

function refuseVoid(fault: Fault | null): void {
  if (fault !== null) throw new VoidRoundError(fault[2])
}

function momentsFor({ kind }: OuterOptimizer, count: number): Pick<OuterState, 'm' | 'v'> {
  return {
    m: kind === 'sgd' ? null : new Float32Array(count),
    v: kind === 'adamw' ? new Float32Array(count) : null,
  }
}

function checkState({ kind }: OuterOptimizer, { theta, m, v }: OuterMemory): void {
  if ((m === null) !== (kind === 'sgd') || (v === null) !== (kind !== 'adamw')) {
    const has = [m !== null && 'm', v !== null && 'v'].filter(Boolean).join(' and ') || 'no moment'
    throw new ConfigError('Cannot take an outer step', [
      { path: 'outer.kind', message: `is ${kind}, and the state has ${has}` },
    ])
  }
  checkLengths(theta.length, { m, v })
}

function stepArguments(outer: OuterOptimizer, steps: number): StepArguments {
  const momentum = 'momentum' in outer ? outer.momentum : 0
  const [beta1, beta2] = (outer.kind === 'adamw' ? outer.betas : undefined) ?? [0.9, 0.95]
  const epsilon = (outer.kind === 'adamw' ? outer.epsilon : undefined) ?? 1e-8
  const weightDecay = outer.weightDecay ?? 0
  const isShare = (value: number) => value >= 0 && value < 1
  const isPositive = (value: number) => value > 0 && value < Infinity
  const issues = [
    { path: 'outer.lr', value: outer.lr, ok: outer.lr >= 0 && outer.lr < Infinity },
    { path: 'outer.weightDecay', value: weightDecay, ok: weightDecay >= 0 && weightDecay < 1e6 },
    { path: 'outer.momentum', value: momentum, ok: isShare(momentum) },
    { path: 'outer.betas', value: beta1, ok: isShare(beta1) },
    { path: 'outer.betas', value: beta2, ok: isShare(beta2) },
    { path: 'outer.epsilon', value: epsilon, ok: isPositive(epsilon) },
  ]
    .filter(({ ok }) => !ok)
    .map(({ path, value }) => ({ path, message: `${String(value)} is not possible` }))
  if (issues.length > 0) throw new ConfigError('Cannot take an outer step', issues)
  return [
    KINDS[outer.kind],
    steps === 1,
    outer.lr,
    weightDecay,
    momentum,
    beta1,
    beta2,
    1 - power(beta1, steps),
    1 - power(beta2, steps),
    epsilon,
  ]
}

/** By repeated multiplication: `**` may round differently elsewhere. */
function power(base: number, exponent: number): number {
  let product = 1
  for (let i = 0; i < exponent; i++) product *= base
  return product
}
