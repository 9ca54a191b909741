/** What both ways into Python, the addon's and the worker's, have to say of values. */

/** The step from a list or dict to an item: a key, an index, or `undefined` for a key that has no short text. */
export type Step = string | number | undefined

/** A value that cannot cross. */
export class RefusedValue extends Error {
  readonly #steps: Step[] = []

  /** Where, such as `batches[3].payload.x`; empty for the value itself. */
  get path(): string {
    return placeText(this.#steps)
  }

  /** Says that the value at `path` is in turn at this step of what is around it. */
  within(step: Step): this {
    this.#steps.unshift(step)
    return this
  }
}

/** An object whose prototype is null or some realm's Object.prototype. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

export function className(value: object): string {
  const { constructor } = value as { constructor?: unknown }
  const name = typeof constructor === 'function' ? constructor.name : ''
  return name === '' ? 'an unnamed class' : name
}

/** What refuses an object of a class. `kinds` completes "pass a plain object, …". */
export function refusedObject(value: object, kinds: string): RefusedValue {
  if (value === process.env) {
    return new RefusedValue('process.env cannot be passed to Python; pass { ...process.env }')
  }
  return new RefusedValue(
    `an instance of ${className(value)} cannot be passed to Python; pass a plain object, ${kinds} instead`,
  )
}

/** The text of the formats (spec formats#json): no fraction when it is zero, else three digits. */
export function timestampText(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new RefusedValue('an invalid Date cannot be passed')
  return date.toISOString().replace('.000Z', 'Z')
}

function placeText(steps: readonly Step[]): string {
  let text = ''
  for (const step of steps) {
    if (step === undefined) text += '[<key>]'
    else if (typeof step === 'number') text += `[${step}]`
    else if (!/^[A-Za-z_$][\w$]*$/.test(step)) text += `["${step}"]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}
