import type { Forecast } from '../model.ts'
import { CalibratedExperts } from './calibratedExperts.ts'
import {
  CANDIDATES,
  CONSTANT,
  FEATURES,
  fillFeatures,
  MAX_2_MINUTES,
  MAX_5_MINUTES,
  YESTERDAY,
} from './features.ts'
import { nothingKnown, Pending } from './pending.ts'
import { Plans, WEIGH_EVERY } from './plans.ts'
import { PULSE_BINS, Pulses } from './pulses.ts'
import { pinball, QuantileRegression } from './quantileRegression.ts'
import { Recent } from './recent.ts'
import { levelOf, type Returns, returnsOf } from './returns.ts'
import { Season } from './season.ts'
import type { Walk } from './walk.ts'

/** Forecasts: regression and calibrated experts, each at a high and a middling quantile. */
const HIGH = 0.95
const MIDDLE = 0.8
/** Regression at both quantiles, calibrated experts at both, regression that knows of pulses. */
const HEADS = 5
/** The peak forgets half in a day; a replica is taken as a twentieth of it. */
const PEAK_KEEP = 0.5 ** (1 / 5760)
const REPLICAS_AT_PEAK = 20
const FLOOR_SHARE = 0.05
const LOSS_KEEP = 0.5 ** (1 / 1440)
/** Mean pinball loss, in log units, that is always good enough. */
const GATE_SLACK = 0.02
/** Slots of comparison before the gate may close. */
const GATE_LEAST = 240

/** Filled anew with each slot, so one of each does for all series. */
const heads = new Float64Array(HEADS)
const now = nothingKnown()
const then = nothingKnown()

export interface PredictorOptions {
  /** Slots from the order of a pod to its service. */
  readonly startSlots: number
  /** Load that one replica serves, where it is known. */
  readonly capacity?: number
}

/**
 * Learns one load online and says what capacity to plan for: quantile forecasts of the largest load until a pod
 * ordered now would serve, turned into plans by release rules, each plan tried on the recent past and mixed by
 * what it would have cost there. Causal; constant memory; one `push` for each slot of 15 s.
 */
export class Predictor {
  /** What to plan for now. */
  planned = 0
  /** Upper quantile (0.95) of the largest load until a pod ordered now would serve. */
  upper = 0
  /** The forecast does better on the recent past than the same time yesterday. */
  trusted = true
  readonly #recent = new Recent()
  #horizon: number
  readonly #capacity: number | undefined
  readonly #season = new Season()
  readonly #regressions = [HIGH, MIDDLE].map((tau) => new QuantileRegression(FEATURES, tau))
  readonly #pulseRegression = new QuantileRegression(FEATURES, HIGH, PULSE_BINS)
  readonly #pulses = new Pulses()
  readonly #experts: readonly CalibratedExperts[]
  #pending: Pending
  readonly #plans: Plans
  #count = 0
  #peak = 0
  #loss = 0
  #naiveLoss = 0
  #compared = 0
  /** What was told of returns last; it is told minute by minute. */
  #asked:
    | { readonly minute: number; readonly level: number; readonly returns: Returns | undefined }
    | undefined

  constructor({ startSlots, capacity }: PredictorOptions) {
    this.#horizon = startSlots + 2
    this.#capacity = capacity
    const pending = this.#horizon + 1
    this.#pending = new Pending(pending)
    this.#experts = [HIGH, MIDDLE].map((tau) => new CalibratedExperts(CANDIDATES, tau, pending))
    this.#plans = new Plans(startSlots)
    for (const regression of [...this.#regressions, this.#pulseRegression]) {
      regression.begin(MAX_2_MINUTES, 1)
      regression.begin(CONSTANT, 0.1)
    }
  }

  /** All that was learned; what `forecast` fills anew each time is left out. */
  visit(walk: Walk): void {
    this.planned = walk.number(this.planned)
    this.upper = walk.number(this.upper)
    this.trusted = walk.flag(this.trusted)
    const learners = [...this.#regressions, this.#pulseRegression, this.#pulses, ...this.#experts]
    const parts = [this.#recent, this.#season, this.#pending, this.#plans]
    for (const part of [...learners, ...parts]) part.visit(walk)
    this.#count = walk.number(this.#count)
    this.#peak = walk.number(this.#peak)
    this.#loss = walk.number(this.#loss)
    this.#naiveLoss = walk.number(this.#naiveLoss)
    this.#compared = walk.number(this.#compared)
  }

  /** How much the HPA's default counts in what is planned. */
  get usual(): number {
    return this.#plans.usual
  }

  /** Slots until what is planned can go down, if the load stays as it is. */
  get slotsToRelease(): number {
    return this.#plans.slotsToRelease
  }

  /** Mean pinball losses of the recent past, ours and that of the same time yesterday; undefined before there is one. */
  get losses(): Forecast['losses'] {
    const weight = (1 - LOSS_KEEP ** this.#compared) / (1 - LOSS_KEEP)
    if (weight === 0) return undefined
    return { own: this.#loss / weight, seasonal: this.#naiveLoss / weight }
  }

  /** Plans were compared: before, what is planned is what is always planned at first. */
  get experienced(): boolean {
    return this.#count >= WEIGH_EVERY
  }

  /** Whether the load came back to what is `held` at the time of `slot`, the newest, before; where it did. */
  returnsTo(held: number, slot: number): Returns | undefined {
    const level = levelOf(held, this.#recent.minute)
    if (level === undefined) return undefined
    const minute = Math.floor(slot / 4)
    if (this.#asked?.minute !== minute || this.#asked.level !== level)
      this.#asked = { minute, level, returns: returnsOf(this.#season, slot, level) }
    return this.#asked.returns
  }

  /** Slots seen. */
  get count(): number {
    return this.#count
  }

  /** After a gap: what is recent is unknown, what was learned stays. */
  restart(): void {
    this.#recent.restart()
  }

  /**
   * From now on a start takes so long. What was learned stays and adapts, as do the plans in force; forecasts that
   * await their outcome were of another horizon and teach nothing.
   */
  startsIn(startSlots: number): void {
    this.#horizon = startSlots + 2
    const pending = this.#horizon + 1
    this.#pending = new Pending(pending)
    for (const experts of this.#experts) experts.restart(pending)
    this.#plans.startsIn(startSlots)
  }

  /** `load` is the mean over `slot` (15 s since 1970). */
  push(slot: number, load: number): void {
    const recent = this.#recent
    recent.push(load)
    this.#season.push(slot, recent.smooth)
    this.#peak = Math.max(this.#peak * PEAK_KEEP, recent.minute)
    const unit = Math.max(this.#capacity ?? this.#peak / REPLICAS_AT_PEAK, 1e-9)
    const floor = FLOOR_SHARE * unit
    const at = this.#count++
    if (recent.count > this.#horizon) this.#learn(at, floor)
    this.#forecast(at, slot, floor)
    this.planned = this.#plans.push(load, recent.minute, unit, heads)
  }

  #learn(at: number, floor: number): void {
    const made = at - this.#horizon
    this.#pending.recall(made, then)
    if (then.base !== then.base) return
    const outcome = Math.log(this.#recent.max(this.#horizon) + floor) - then.base
    for (let i = 0; i < 2; i++) {
      this.#experts[i]?.learn(made, then.candidates, outcome)
      this.#regressions[i]?.learn(outcome, then.inputs)
    }
    this.#pulseRegression.learn(outcome, then.inputs, then.bin)
    const yesterday = then.candidates[YESTERDAY] ?? NaN
    const naive = yesterday === yesterday ? yesterday : 0
    this.#loss = this.#loss * LOSS_KEEP + pinball(outcome - then.forecast, HIGH)
    this.#naiveLoss = this.#naiveLoss * LOSS_KEEP + pinball(outcome - naive, HIGH)
    this.#compared += 1
    if (this.#compared < GATE_LEAST) return
    // Closed when worse, opened again only when clearly better: no flicker between the two.
    // Where the season is all but exact, being a little worse than it is no reason.
    const slack = GATE_SLACK / (1 - LOSS_KEEP)
    this.trusted = this.#loss < this.#naiveLoss * (this.trusted ? 1 : 0.95) + slack
  }

  #forecast(at: number, slot: number, floor: number): void {
    const recent = this.#recent
    const moment = { recent, season: this.#season, slot, horizon: this.#horizon, floor }
    now.base = fillFeatures(moment, now.inputs, now.candidates)
    for (let i = 0; i < 2; i++) {
      const regression = this.#regressions[i]
      const experts = this.#experts[i]
      if (regression === undefined || experts === undefined) continue
      heads[i] = Math.min(Math.max(regression.predict(now.inputs), -1), 3)
      heads[2 + i] = Math.min(Math.max(experts.blend(at, now.candidates, MAX_5_MINUTES), -1), 3)
    }
    now.bin = this.#pulses.push(slot, recent.smooth, floor)
    const pulse = this.#pulseRegression.predict(now.inputs, now.bin)
    heads[4] = Math.min(Math.max(pulse, -1), 3)
    now.forecast = ((heads[0] ?? 0) + (heads[2] ?? 0)) / 2
    this.#pending.keep(at, now)
    for (let i = 0; i < HEADS; i++)
      heads[i] = Math.log(Math.max(Math.exp((heads[i] ?? 0) + now.base) - floor, 1e-9))
    this.upper = Math.exp(((heads[0] ?? 0) + (heads[2] ?? 0)) / 2)
  }
}
