import { TidelineError } from '../../errors.ts'
import type { Target } from '../../model.ts'
import type {
  MeasurementsOutcome,
  PushMeasurements,
  PushOutcome,
  PushReceiver,
  PushReport,
  SourceDeps,
  SourceType,
} from '../../ports.ts'
import { accountsOf, forgetInstances, INSTANCES_MAX, instanceOf } from './accounts.ts'
import type { Account } from './accounts.ts'
import { mistakeOf, podMistake, senderMistake } from './check.ts'
import { pushConfigSchema } from './config.ts'
import type { PushConfig } from './config.ts'
import { Coverage } from './coverage.ts'
import { AHEAD_MAX_MS } from './points.ts'
import { watchPods } from './pods.ts'
import { Measuring } from './processes.ts'
import { samplesOf, seriesCount } from './samples.ts'
import { OTHERS, Unheard } from './unheard.ts'

const TOO_MANY_PODS = {
  code: 'too-large',
  message: 'more pods report than may (podsMax)',
} as const
const FULL = 'limits.series is reached: none of the pod is kept'
const OF_ANOTHER =
  'was told of another interval: a process that is started again needs an instance of its own'
const BLIND = 'which pods are to report is not known yet'

/**
 * Takes what services report of themselves. Each pod is an origin, `namespace/pod`. One that falls silent fails
 * and its series age: it may hang with its requests, so it is neither zero nor gone, unless `pods` is given and
 * says that it is.
 */
export const pushSource: SourceType<PushConfig> = {
  type: 'push',
  summary: 'Takes counts of requests, errors and latencies that services report by themselves.',
  schema: pushConfigSchema,
  create(config, deps) {
    const receiver = new Receiver(config, deps)
    return { run: (signal) => receiver.run(signal) }
  },
}

interface Pod extends Account {
  heardMs: number
  state: 'reporting' | 'awaited' | 'failing' | 'ended'
  /** Of the series that there are now. */
  coverage?: Coverage | undefined
  /** The store had no room for one of its reports: until then none is taken, for some of them may find some. */
  fullUntilMs: number
}

class Receiver implements PushReceiver {
  readonly #config: PushConfig
  readonly #deps: SourceDeps
  readonly #pods = new Map<string, Pod>()
  readonly #ledger: Map<string, Account>
  readonly #measuring: Measuring
  readonly #unheard: Unheard
  /** Pods that there are, once that is known. */
  #present: ReadonlySet<string> | undefined
  #heard = false

  constructor(config: PushConfig, deps: SourceDeps) {
    this.#config = config
    this.#deps = deps
    this.#ledger = accountsOf(deps)
    this.#measuring = new Measuring(config, deps)
    this.#unheard = new Unheard(config.maxAge, deps)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { pushed, clock } = this.#deps
    if (pushed === undefined)
      throw new TidelineError('not-configured', 'nothing listens for reports: write spec.push')
    const detach = signal.aborted ? () => undefined : pushed.attach(this)
    const { pods } = this.#config
    const tell = (targets: readonly Target[]) => this.#publish(targets)
    const discovering =
      pods === undefined ? Promise.resolve() : watchPods(pods, this.#deps, tell, signal)
    try {
      while (!signal.aborted) {
        await clock.sleep(Math.max(20, this.#config.goneAfter / 4), signal)
        if (!signal.aborted) this.#look(clock.monotonicMs())
      }
    } finally {
      detach()
      await discovering
    }
  }

  report(report: PushReport): PushOutcome {
    const outcome = this.#count(report)
    if (outcome.outcome === 'refused' && podMistake(report) === undefined)
      this.#miss(`${report.namespace}/${report.pod}`, outcome)
    return outcome
  }

  #count(report: PushReport): PushOutcome {
    const { clock, name, sink } = this.#deps
    const { maxAge, bucket, seriesPerPod } = this.#config
    const mistake = mistakeOf(report)
    if (mistake !== undefined) return refused('invalid', mistake)
    if (this.#isBlind()) return refused('unavailable', BLIND)
    const nowMs = clock.nowMs()
    if (report.endMs > nowMs + AHEAD_MAX_MS)
      return refused(
        'invalid',
        `the report ends ${report.endMs - nowMs} ms from now: check the clocks`,
      )
    if (report.startMs < nowMs - maxAge)
      return refused(
        'too-old',
        `it begins ${nowMs - report.startMs} ms ago, more than ${maxAge} ms`,
      )
    if (seriesCount(report) > seriesPerPod)
      return refused('limit', `${seriesCount(report)} series, and a pod may have ${seriesPerPod}`)
    const origin = `${report.namespace}/${report.pod}`
    const monotonicMs = clock.monotonicMs()
    const pod = this.#podOf(origin, monotonicMs)
    const instance =
      pod === undefined ? undefined : instanceOf(pod.instances, report, monotonicMs, this.#keepMs())
    if (pod === undefined) return refused('limit', TOO_MANY_PODS.message)
    if (instance === undefined) {
      const message = `more than ${INSTANCES_MAX} processes of the pod report`
      this.#unheard.note(`${origin}/${OTHERS}`, { code: 'too-large', message })
      return refused('limit', message)
    }
    const known = instance.sequences.look(report.sequence, report.endMs)
    if (known === 'counted') return { outcome: 'duplicate' }
    if (known === 'forgotten')
      return refused('too-old', `sequence ${report.sequence} was overtaken by too many others`)
    if (known === 'another') return refused('invalid', `sequence ${report.sequence} ${OF_ANOTHER}`)
    if (monotonicMs < pod.fullUntilMs) return refused('limit', FULL)
    pod.coverage ??= new Coverage()
    const told = { fromMs: report.startMs, untilMs: report.endMs }
    const covered = pod.coverage.add(told, report.sequence === 1)
    const samples = samplesOf(report, bucket, covered)
    this.#hear(pod, monotonicMs)
    this.#unheard.heard(origin)
    const written = sink.write({ source: name, origin, atMs: nowMs, samples, complete: false })
    // Counted even where only a part was taken: the same report again would count that part twice.
    instance.sequences.count(report.sequence, report.endMs)
    if (written.refused.has('too-many-series')) {
      pod.fullUntilMs = monotonicMs + maxAge
      pod.coverage = undefined
      // Its series end; the origin stays, failing, so that nobody takes the others for the whole.
      sink.end(name, origin)
      pod.state = 'failing'
      return refused('limit', FULL)
    }
    if (written.taken < samples.length)
      return refused('limit', `not stored: ${[...written.refused.keys()].join(', ')}`)
    return { outcome: 'accepted' }
  }

  measure(told: PushMeasurements): MeasurementsOutcome {
    const { name, sink, clock } = this.#deps
    const origin = `${told.namespace}/${told.pod}`
    const mistake = senderMistake(told)
    if (mistake !== undefined) {
      if (podMistake(told) === undefined)
        this.#unheard.note(`${origin}/${OTHERS}`, { code: 'bad-response', message: mistake })
      return refused('invalid', mistake)
    }
    if (this.#isBlind()) return refused('unavailable', BLIND)
    const pod = this.#podOf(origin, clock.monotonicMs())
    if (pod === undefined) {
      this.#unheard.note(beyond(origin), TOO_MANY_PODS)
      return refused('limit', TOO_MANY_PODS.message)
    }
    // Its processes are origins of their own: what it failed of before one reported is over.
    if (told.process !== '' && pod.state === 'failing' && !reports(pod) && !measures(pod))
      sink.end(name, origin)
    this.#hear(pod, clock.monotonicMs())
    const outcome = this.#measuring.measure(pod.processes, told)
    if (outcome.outcome === 'refused') {
      const { message } = outcome
      this.#unheard.note(`${origin}/${OTHERS}`, { code: 'too-large', message })
    } else if (told.process === '') this.#unheard.heard(origin)
    return outcome
  }

  /** A report was refused: unless others of the pod are counted its load is missing. */
  #miss(origin: string, { reason, message }: Refusal): void {
    const pod = this.#pods.get(origin)
    const isGone = this.#present?.has(origin) === false
    if (reason === 'unavailable' || isGone || pod?.state === 'reporting') return
    const isBeyond = pod === undefined && this.#pods.size >= this.#config.podsMax
    const code = reason === 'limit' ? 'too-large' : 'bad-response'
    const isOnly = pod === undefined
    this.#unheard.note(isBeyond ? beyond(origin) : origin, { code, message }, isOnly)
  }

  /** While it is not known who must report, nobody can tell whether all did. */
  #isBlind(): boolean {
    const { pods } = this.#config
    return pods !== undefined && this.#deps.discovery !== undefined && this.#present === undefined
  }

  #hear(pod: Pod, nowMs: number): void {
    pod.state = 'reporting'
    pod.heardMs = nowMs
    if (this.#heard) return
    this.#heard = true
    // After a start of ours a sum over the quickest is not the whole. Pods that join later bring no load at once.
    for (const origin of this.#present ?? []) {
      const other = this.#pods.get(origin)
      if (other?.state === 'awaited') this.#fail(origin, other, 'no report yet')
    }
  }

  #podOf(origin: string, heardMs: number): Pod | undefined {
    const known = this.#pods.get(origin)
    if (known !== undefined) return known
    if (this.#pods.size >= this.#config.podsMax) return undefined
    const account: Account = this.#ledger.get(origin) ?? {
      instances: new Map(),
      processes: new Map(),
    }
    this.#ledger.set(origin, account)
    const pod: Pod = { ...account, heardMs, state: 'awaited', fullUntilMs: -Infinity }
    this.#pods.set(origin, pod)
    return pod
  }

  #look(nowMs: number): void {
    const { goneAfter, maxAge } = this.#config
    for (const [origin, pod] of this.#pods) {
      const silentMs = nowMs - pod.heardMs
      const gone = this.#present?.has(origin) === false
      const expected = this.#present?.has(origin) === true
      const silence = `no report for ${Math.round(silentMs / 1000)} s`
      if (silentMs >= goneAfter && gone && pod.state !== 'ended') this.#end(origin, pod)
      else if (silentMs >= goneAfter && !gone && isAlive(pod)) this.#fail(origin, pod, silence)
      // The store forgets what is silent for long; of a pod that is there it must not.
      else if (expected && pod.state === 'failing') this.#fail(origin, pod, silence, false)
      if (!gone) this.#measuring.look(pod.processes, nowMs, expected)
      if (!expected && silentMs > Math.max(goneAfter, maxAge + AHEAD_MAX_MS))
        this.#pods.delete(origin)
    }
    for (const origin of this.#present ?? [])
      if (this.#podOf(origin, nowMs) === undefined)
        this.#unheard.note(beyond(origin), TOO_MANY_PODS)
    this.#unheard.look(nowMs)
    for (const [origin, { instances, processes }] of this.#ledger) {
      if (this.#pods.has(origin)) continue
      forgetInstances(instances, nowMs, this.#keepMs())
      this.#measuring.look(processes, nowMs)
      if (instances.size === 0 && processes.size === 0) this.#ledger.delete(origin)
    }
  }

  #fail(origin: string, pod: Pod, message: string, said = true): void {
    const { clock, log, name, sink } = this.#deps
    pod.state = 'failing'
    // Those that measure fail by themselves.
    if (!reports(pod) && measures(pod)) return
    sink.fail(name, origin, { code: 'timeout', message, atMs: clock.nowMs() })
    if (said) log.warn('origin-failing', { source: name, origin, code: 'timeout', message })
  }

  #end(origin: string, pod: Pod): void {
    pod.state = 'ended'
    pod.coverage = undefined
    this.#measuring.endAll(pod.processes)
    this.#deps.sink.end(this.#deps.name, origin)
  }

  /** An instance is remembered for as long as a retry of a report of its would be taken. */
  #keepMs(): number {
    return this.#config.maxAge + AHEAD_MAX_MS
  }

  #publish(targets: readonly Target[]): void {
    const { clock } = this.#deps
    const before = this.#present
    this.#present = new Set(targets.map(({ id }) => id))
    for (const origin of this.#present) {
      const pod = this.#podOf(origin, clock.monotonicMs())
      if (pod?.state === 'ended') pod.state = 'awaited'
      if (pod === undefined) this.#unheard.note(beyond(origin), TOO_MANY_PODS)
    }
    for (const origin of before ?? []) {
      const pod = this.#pods.get(origin)
      // What it reports while it is on its way out still counts, as a series that begins anew.
      if (pod !== undefined && !this.#present.has(origin)) this.#end(origin, pod)
    }
  }
}

function isAlive({ state }: Pod): boolean {
  return state === 'reporting' || state === 'awaited'
}

/** Stands for the pods of a namespace that there is no room for. */
function beyond(origin: string): string {
  return `${origin.slice(0, origin.indexOf('/'))}/${OTHERS}`
}

function reports({ instances }: Pod): boolean {
  return instances.size > 0
}

/** Whether it has processes that measure and are not over. */
function measures({ processes }: Pod): boolean {
  for (const { state } of processes.values()) if (state !== 'ended') return true
  return false
}

type Refusal = Extract<PushOutcome, { outcome: 'refused' }>

function refused(reason: Refusal['reason'], message: string): Refusal {
  return { outcome: 'refused', reason, message }
}
