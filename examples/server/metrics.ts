/** The training in the text format of Prometheus. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { PythonRuntime, RuntimeState } from 'torchbed'
import type { Training } from './training.js'

const STATES: readonly RuntimeState[] = ['idle', 'running', 'overdue', 'closed']

/**
 * A registry that looks at training and runtime whenever it is read. Event-loop delay and memory of the process
 * are among the client's own: `nodejs_eventloop_lag_*`, `process_resident_memory_bytes`.
 */
export function metricsOf(training: Training, runtime: PythonRuntime): Registry {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register })

  const gauge = (name: string, help: string, read: () => number | null | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read() ?? NaN)
      },
    })
  const last = () => training.status.last
  gauge('training_loss', 'Mean cross-entropy over the last window', () => last()?.loss)
  gauge('training_held_out_loss', 'Cross-entropy on held-out points', () => last()?.heldOutLoss)
  gauge('training_accuracy_ratio', 'Held-out points told right', () => last()?.accuracy)
  gauge(
    'training_examples_per_second',
    'Examples processed per second in the last window',
    () => training.status.examplesPerSecond,
  )
  gauge('torchbed_calls_queued', 'Calls that wait for their turn', () => runtime.stats().queued)
  gauge('torchbed_models', 'Models that Python holds', () => runtime.stats().models)
  gauge('torchbed_lent_bytes', 'Memory on loan to Python', () => runtime.stats().lent.bytes)
  gauge('torchbed_lent_buffers', 'Buffers on loan to Python', () => runtime.stats().lent.buffers)

  new Counter({
    name: 'training_windows_total',
    help: 'Windows that are done',
    registers,
    collect() {
      this.reset()
      this.inc(training.status.window)
    },
  })
  new Gauge({
    name: 'torchbed_call_age_seconds',
    help: 'How long the running call has been running; absent when none is',
    labelNames: ['method'],
    registers,
    collect() {
      this.reset()
      const { running } = runtime.stats()
      if (running !== null) this.set({ method: running.method }, running.ageMs / 1000)
    },
  })
  new Gauge({
    name: 'torchbed_runtime_state',
    help: 'What the runtime is doing: 1 for the state that it is in',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of STATES) this.set({ state }, state === runtime.state ? 1 : 0)
    },
  })
  const duration = new Histogram({
    name: 'torchbed_call_duration_seconds',
    help: 'How long calls took',
    labelNames: ['method'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers,
  })
  training.on('call', (method, seconds) => duration.observe({ method }, seconds))
  return register
}
