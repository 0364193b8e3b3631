import { CalibratedExperts, type Made } from './calibratedExperts.ts'
import { CANDIDATES, CONSTANT, FEATURES, Features, MAX_2_MINUTES } from './features.ts'
import { PULSE_BINS, Pulses } from './pulses.ts'
import { pinball, QuantileRegression } from './quantileRegression.ts'
import { Recent } from './recent.ts'
import { Release } from './release.ts'
import { Season } from './season.ts'
import { Trial } from './trial.ts'
import { Weights } from './weigh.ts'
import type { Walk } from './walk.ts'

/** Forecasts: regression and calibrated experts, each at a high and a middling quantile. */
const HIGH = 0.95
const MIDDLE = 0.8

/** Slots that a forecast lies below its plan before the plan goes down; less patience where a start is quick. */
const PATIENCE = 5
const PATIENCE_QUICK = 4
const QUICK_START_SLOTS = 4

/** Plans: which forecasts are averaged (in logs), and how long it takes to go down where not `PATIENCE`. */
const PLANS: readonly { readonly heads: readonly number[]; readonly slots?: number }[] = [
  { heads: [1, 0, 0, 0, 0] },
  { heads: [0, 0, 0, 0, 1] },
  { heads: [0, 0, 1, 0, 0] },
  { heads: [1, 0, 1, 0, 1] },
  { heads: [1, 1, 1, 1, 1], slots: 8 },
  { heads: [0, 0, 0, 1, 0] },
  { heads: [0, 1, 0, 0, 1] },
  { heads: [0, 1, 0, 1, 0], slots: 40 },
]
/** Cost, in logs, that every plan but the first is taken to have while nothing is known. */
const PRIOR = 0.03
/** Regression at both quantiles, calibrated experts at both, regression that knows of pulses. */
const HEADS = 5
const NO_BIN = PULSE_BINS
const HPA = PLANS.length
/** The HPA's default window of 300 s, in slots. */
const HPA_SLOTS = 20
const WEIGH_EVERY = 60
/** The peak forgets half in a day; a replica is taken as a twentieth of it. */
const PEAK_KEEP = 0.5 ** (1 / 5760)
const REPLICAS_AT_PEAK = 20
const FLOOR_SHARE = 0.05
const LONGEST_MEMORY_SLOTS = 41_551
const LOSS_KEEP = 0.5 ** (1 / 1440)
/** Mean pinball loss, in log units, that is always good enough. */
const GATE_SLACK = 0.02
/** Slots of comparison before the gate may close. */
const GATE_LEAST = 240

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
  readonly #releases: readonly Release[]
  #horizon: number
  readonly #capacity: number | undefined
  readonly #season = new Season()
  readonly #features = new Features()
  readonly #regressions = [HIGH, MIDDLE].map((tau) => new QuantileRegression(FEATURES, tau))
  readonly #pulseRegression = new QuantileRegression(FEATURES, HIGH, PULSE_BINS)
  readonly #pulses = new Pulses()
  readonly #experts = [HIGH, MIDDLE].map((tau) => new CalibratedExperts(CANDIDATES, tau))
  #rows: readonly Row[]
  readonly #heads = new Float64Array(HEADS)
  readonly #trials: readonly Trial[]
  readonly #weights = new Weights([0, ...PLANS.map(() => PRIOR)])
  readonly #minutes = new Float64Array(HPA_SLOTS)
  #count = 0
  #peak = 0
  #work = 0
  #slots = 0
  #loss = 0
  #naiveLoss = 0
  #compared = 0

  constructor({ startSlots, capacity }: PredictorOptions) {
    this.#horizon = startSlots + 2
    this.#capacity = capacity
    this.#rows = Array.from({ length: this.#horizon + 1 }, createRow)
    this.#releases = PLANS.map(
      ({ slots }) => new Release(slots ?? patienceOf(startSlots), startSlots),
    )
    this.#trials = Array.from({ length: PLANS.length + 1 }, () => new Trial(startSlots))
    for (const regression of [...this.#regressions, this.#pulseRegression]) {
      regression.weights[MAX_2_MINUTES] = 1
      regression.weights[CONSTANT] = 0.1
    }
  }

  /** All that was learned; what `forecast` fills anew each time is left out. */
  visit(walk: Walk): void {
    this.planned = walk.number(this.planned)
    this.upper = walk.number(this.upper)
    this.trusted = walk.flag(this.trusted)
    const learners = [...this.#regressions, this.#pulseRegression, this.#pulses, ...this.#experts]
    const parts = [this.#recent, this.#season, ...this.#releases, ...this.#trials, this.#weights]
    for (const part of [...learners, ...parts]) part.visit(walk)
    for (const row of this.#rows) visitRow(row, walk)
    walk.array(this.#heads)
    walk.array(this.#minutes)
    this.#count = walk.number(this.#count)
    this.#peak = walk.number(this.#peak)
    this.#work = walk.number(this.#work)
    this.#slots = walk.number(this.#slots)
    this.#loss = walk.number(this.#loss)
    this.#naiveLoss = walk.number(this.#naiveLoss)
    this.#compared = walk.number(this.#compared)
  }

  /** Weight of each plan, the HPA's default last. */
  get weights(): Float64Array {
    return this.#weights.weights
  }

  /** Mean pinball losses of the recent past, ours and that of the same time yesterday; 0 before there is one. */
  get losses(): { readonly own: number; readonly seasonal: number } {
    const weight = (1 - LOSS_KEEP ** this.#compared) / (1 - LOSS_KEEP)
    if (weight === 0) return { own: 0, seasonal: 0 }
    return { own: this.#loss / weight, seasonal: this.#naiveLoss / weight }
  }

  /** Slots seen. */
  get count(): number {
    return this.#count
  }

  /** Slots until a plan that counts can go down, if the load stays as it is. */
  slotsToRelease(): number {
    let slots = 0
    for (let e = 0; e < HPA; e++) {
      const release = this.#releases[e]
      if (release !== undefined && (this.weights[e] ?? 0) > 0.1)
        slots = Math.max(slots, release.slots - release.below)
    }
    return (this.weights[HPA] ?? 0) > 0.5 ? HPA_SLOTS : slots
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
    this.#rows = Array.from({ length: this.#horizon + 1 }, createRow)
    for (const [i, release] of this.#releases.entries())
      release.startsIn(PLANS[i]?.slots ?? patienceOf(startSlots), startSlots)
    for (const trial of this.#trials) trial.startsIn(startSlots)
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
    this.#plan(at, load, unit)
  }

  #learn(at: number, floor: number): void {
    const row = this.#rows[(at + 1) % this.#rows.length]
    if (row === undefined || row.base !== row.base) return
    const outcome = Math.log(this.#recent.max(this.#horizon) + floor) - row.base
    for (let i = 0; i < row.made.length; i++) {
      const made = row.made[i]
      if (made !== undefined) this.#experts[i]?.learn(row.candidates, made, outcome)
      this.#regressions[i]?.learn(row.inputs, NO_BIN, outcome)
    }
    this.#pulseRegression.learn(row.inputs, row.bin, outcome)
    this.#loss = this.#loss * LOSS_KEEP + pinball(outcome - row.forecast, HIGH)
    this.#naiveLoss = this.#naiveLoss * LOSS_KEEP + pinball(outcome - row.naive, HIGH)
    this.#compared += 1
    if (this.#compared < GATE_LEAST) return
    // Closed when worse, opened again only when clearly better: no flicker between the two.
    // Where the season is all but exact, being a little worse than it is no reason.
    const slack = GATE_SLACK / (1 - LOSS_KEEP)
    this.trusted = this.#loss < this.#naiveLoss * (this.trusted ? 1 : 0.95) + slack
  }

  #forecast(at: number, slot: number, floor: number): void {
    const row = this.#rows[at % this.#rows.length]
    if (row === undefined) return
    const recent = this.#recent
    const moment = { recent, season: this.#season, slot, horizon: this.#horizon, floor }
    row.base = this.#features.fill(moment, row.inputs, row.candidates)
    const heads = this.#heads
    for (let i = 0; i < 2; i++) {
      const regression = this.#regressions[i]
      const experts = this.#experts[i]
      const made = row.made[i]
      if (regression === undefined || experts === undefined || made === undefined) continue
      made.shifts.set(experts.shifts)
      made.blend = experts.blend(row.candidates, 3)
      heads[i] = Math.min(Math.max(regression.predict(row.inputs, NO_BIN), -1), 3)
      heads[2 + i] = Math.min(Math.max(made.blend, -1), 3)
    }
    row.bin = this.#pulses.push(slot, recent.smooth, floor)
    const pulse = this.#pulseRegression.predict(row.inputs, row.bin)
    heads[4] = Math.min(Math.max(pulse, -1), 3)
    row.forecast = ((heads[0] ?? 0) + (heads[2] ?? 0)) / 2
    const yesterday = row.candidates[11] ?? NaN
    row.naive = yesterday === yesterday ? yesterday : 0
    for (let i = 0; i < HEADS; i++)
      heads[i] = Math.log(Math.max(Math.exp((heads[i] ?? 0) + row.base) - floor, 1e-9))
    this.upper = Math.exp(((heads[0] ?? 0) + (heads[2] ?? 0)) / 2)
  }

  #plan(at: number, load: number, unit: number): void {
    const heads = this.#heads
    const { weights, scale } = this.#weights
    const keep = 1 - Math.max(1 / LONGEST_MEMORY_SLOTS, Math.min(0.5, 2 / (at + 1)))
    this.#work = this.#work * keep + load * 15
    this.#slots = this.#slots * keep + 1
    let planned = 0
    for (let e = 0; e <= HPA; e++) {
      const release = this.#releases[e]
      const plan =
        release === undefined ? this.#hpaDefault(at) : pushed(release, PLANS[e]?.heads, heads, load)
      this.#trials[e]?.push(load, plan, unit, keep)
      const weight = weights[e] ?? 0
      if (weight > 1e-4) planned += weight * (Math.log(Math.max(plan, 1e-9)) + (scale[e] ?? 0))
    }
    this.planned = Math.exp(planned)
    if (at % WEIGH_EVERY === WEIGH_EVERY - 1)
      this.#weights.update(this.#trials, this.#work, this.#slots)
  }

  /** What the HPA's default does to the one-minute mean. */
  #hpaDefault(at: number): number {
    const minutes = this.#minutes
    minutes[at % HPA_SLOTS] = this.#recent.minute
    let max = 0
    for (let i = 0; i < HPA_SLOTS; i++) max = Math.max(max, minutes[i] ?? 0)
    return max
  }
}

function patienceOf(startSlots: number): number {
  return startSlots < QUICK_START_SLOTS ? PATIENCE_QUICK : PATIENCE
}

function pushed(
  release: Release,
  shares: readonly number[] | undefined,
  heads: Float64Array,
  load: number,
): number {
  let sum = 0
  let count = 0
  for (let i = 0; i < HEADS; i++) {
    const share = shares?.[i] ?? 0
    sum += share * (heads[i] ?? 0)
    count += share
  }
  release.push(Math.exp(sum / count), load)
  return release.plan
}

interface Row {
  /** NaN: nothing was forecast yet. */
  base: number
  bin: number
  forecast: number
  naive: number
  readonly inputs: Float64Array
  readonly candidates: Float64Array
  readonly made: readonly Made[]
}

function createMade(): Made {
  return { shifts: new Float64Array(CANDIDATES), blend: 0 }
}

function createRow(): Row {
  return {
    base: NaN,
    bin: 0,
    forecast: 0,
    naive: 0,
    inputs: new Float64Array(FEATURES),
    candidates: new Float64Array(CANDIDATES).fill(NaN),
    made: [createMade(), createMade()],
  }
}

function visitRow(row: Row, walk: Walk): void {
  row.base = walk.number(row.base)
  row.bin = walk.number(row.bin)
  row.forecast = walk.number(row.forecast)
  row.naive = walk.number(row.naive)
  walk.array(row.inputs)
  walk.array(row.candidates)
  for (const made of row.made) {
    walk.array(made.shifts)
    made.blend = walk.number(made.blend)
  }
}
