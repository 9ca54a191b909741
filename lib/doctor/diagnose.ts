/** Everything that torchbed needs, looked at in order; each finding is given as soon as there is one. */
import { TorchbedError } from '../errors.js'
import { buildCommand } from '../runtime/embedded/addon-place.js'
import { findPython, type PythonInstallation } from '../runtime/python/find-python.js'
import { shellWord, unsetVariable } from '../runtime/python/install-commands.js'
import { workingFolder } from '../runtime/python/python-probe.js'
import { failedCheck, type Check } from './check.js'
import { checkCopies } from './copies.js'
import { checkNode, checkPlatform } from './machine.js'
import {
  roundTrip,
  CALLS,
  type Facts,
  type RoundTripEnd,
  type Step,
  type StepReport,
} from './round-trip.js'
import { checkAddon, checkOpenssl, checkVariables, describePython } from './surroundings.js'

/** Default of {@link DiagnoseOptions.timeoutMs}: a cold torch on a slow disk takes half of it. */
export const ROUND_TRIP_TIMEOUT_MS = 120_000

/** Largest {@link DiagnoseOptions.timeoutMs}, a day: a timer of Node.js ends at some 24. */
export const MAX_ROUND_TRIP_TIMEOUT_MS = 86_400_000

/** What is looked at. */
export interface DiagnoseOptions {
  /** The Python: a path, or a name on `PATH`. Default: the one that torchbed would choose. */
  readonly python?: string | undefined
  /** Longest time for Python in a child process, in milliseconds. Default {@link ROUND_TRIP_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined
}

/**
 * Looks at Node.js, the package, the addon, Python and torch. What depends on something that failed is left out.
 *
 * @param onCheck called with each finding, in order
 * @returns all findings
 */
export async function diagnose(
  options: DiagnoseOptions,
  onCheck: (check: Check) => void = () => undefined,
): Promise<Check[]> {
  const checks: Check[] = []
  const found = (check: Check) => {
    checks.push(check)
    onCheck(check)
  }
  found(checkNode())
  found(checkPlatform())
  found(await checkCopies(workingFolder()))
  const addon = checkAddon()
  found(addon)
  const python = await findPython({ python: options.python, fresh: true }).catch(
    (error: unknown) => {
      if (!(error instanceof TorchbedError)) throw error
      found(failedCheck('python', error))
      return null
    },
  )
  if (python === null) return checks
  for (const check of describePython(python)) found(check)
  for (const check of checkVariables(python, process.env)) found(check)
  if (addon.status !== 'failure') await checkInProcess(python, options, found)
  return checks
}

async function checkInProcess(
  python: PythonInstallation,
  { python: asked, timeoutMs = ROUND_TRIP_TIMEOUT_MS }: DiagnoseOptions,
  found: (check: Check) => void,
): Promise<void> {
  let openssl: string | null | undefined
  const { executable } = python
  const place = { executable, cwd: workingFolder(), env: process.env, timeoutMs }
  const began = performance.now()
  const end = await roundTrip(place, (report) => {
    for (const check of checksOf(report)) found(check)
    if (report.step === 'openssl' && 'facts' in report) {
      openssl = (report.facts?.openssl as string | undefined) ?? null
    }
  })
  const elapsedMs = performance.now() - began
  if (openssl !== undefined) found(await checkOpenssl(executable, openssl))
  found(endCheck(end, { executable, asked, elapsedMs, timeoutMs }))
}

function checksOf(report: StepReport): Check[] {
  if ('failure' in report) return [report.failure]
  const facts = report.facts ?? {}
  switch (report.step) {
    case 'start':
      return [ok('start', `Python ${fact(facts, 'version')} in ${figure(facts.startMs)} ms`)]
    case 'calls':
      return [ok('calls', `median ${figure(facts.medianUs)} µs of ${CALLS.toLocaleString('en')}`)]
    case 'torch':
      return [ok('torch', fact(facts, 'version')), ok('devices', devices(facts))]
    case 'openssl':
      return []
  }
}

function devices(facts: Facts): string {
  const { cuda_devices: names, cuda_build: build } = facts
  const without = build === '' ? 'no CUDA' : `CUDA ${String(build)} without a device`
  const cuda = names === '' ? without : `CUDA: ${String(names)}`
  return `CPU with ${fact(facts, 'threads')} threads, ${cuda}, ${facts.mps === true ? '' : 'no '}MPS`
}

/** What happens in a step, and the check that reports it. */
const STEPS: Readonly<Record<Step, { readonly what: string; readonly check: string }>> = {
  start: { what: 'starting Python', check: 'start' },
  calls: { what: 'calling Python', check: 'calls' },
  openssl: { what: 'importing ssl', check: 'OpenSSL' },
  torch: { what: 'importing torch', check: 'torch' },
}

interface RoundTripPlace {
  readonly executable: string
  /** The Python as it was asked for, if it was. */
  readonly asked: string | undefined
  readonly elapsedMs: number
  readonly timeoutMs: number
}

/** What the process ended with; a crash and a hang are seen here alone. */
function endCheck(end: RoundTripEnd, place: RoundTripPlace): Check {
  const { elapsedMs, timeoutMs } = place
  const { exitCode, signal, timedOut, during, lastLines } = end
  const seconds = `${(elapsedMs / 1000).toFixed(1)} s`
  if (exitCode === 0 && during === null) {
    return { name: 'end', status: 'ok', value: `exit code 0 after ${seconds}` }
  }
  const status = signal ?? `exit code ${exitCode ?? 'unknown'}`
  const when = during === null ? 'at its end' : `while ${STEPS[during].what}`
  const how = timedOut ? `did not end within ${timeoutMs / 1000} s` : `ended with ${status}`
  const said = lastLines.length > 0 ? ', saying' : ''
  const remedy = timedOut ? longerDoctor(place) : crashRemedy(during, place.executable)
  return {
    name: during === null ? 'end' : STEPS[during].check,
    status: 'failure',
    value: timedOut ? 'hangs' : `crashed: ${status}`,
    detail: [`The process that ran Python ${how} ${when}${said}`, ...lastLines].join('\n'),
    ...(remedy === undefined ? {} : { remedy }),
  }
}

/** The same again with more time; undefined where no more can be given. */
function longerDoctor({ asked, timeoutMs }: RoundTripPlace): string | undefined {
  if (timeoutMs >= MAX_ROUND_TRIP_TIMEOUT_MS) return undefined
  const seconds = Math.ceil(Math.min(5 * timeoutMs, MAX_ROUND_TRIP_TIMEOUT_MS) / 1000)
  const python = asked === undefined ? '' : ` --python ${shellWord(asked)}`
  return `npx torchbed doctor${python} --timeout ${seconds}`
}

/** Of a process that crashed: what it loaded last is what is damaged, more often than not. */
function crashRemedy(during: Step | null, executable: string): string | undefined {
  if (during === 'torch') return `${shellWord(executable)} -m pip install --force-reinstall torch`
  if (process.env.PYTHONPATH) return unsetVariable('PYTHONPATH')
  // The addon has done its part by the time that ssl is imported, or that libraries are left.
  return during === 'start' || during === 'calls' ? buildCommand() : undefined
}

function ok(name: string, value: string): Check {
  return { name, status: 'ok', value }
}

function fact(facts: Facts, name: string): string {
  return String(facts[name])
}

function figure(value: Facts[string] | undefined): string {
  return typeof value === 'number' ? value.toFixed(value < 100 ? 1 : 0) : '?'
}
