import type { Walk } from './walk.ts'
import { CANDIDATES, FEATURES } from './features.ts'

/** What was known when forecasts were made. */
export interface Known {
  /** ln of the load that inputs, candidates and forecast are told against; NaN: nothing was forecast then. */
  base: number
  /** Where the moment lay between pulses. */
  bin: number
  forecast: number
  readonly inputs: Float64Array
  readonly candidates: Float64Array
}

export function nothingKnown(): Known {
  const [inputs, candidates] = [new Float64Array(FEATURES), new Float64Array(CANDIDATES)]
  return { base: 0, bin: 0, forecast: 0, inputs, candidates }
}

const BASE = FEATURES + CANDIDATES
const BIN = BASE + 1
const FORECAST = BASE + 2
const SIZE = BASE + 3

/** Keeps what was known at the last moments until it is known what came of them. */
export class Pending {
  readonly #numbers: Float64Array

  constructor(moments: number) {
    this.#numbers = new Float64Array(moments * SIZE).fill(NaN)
  }

  visit(walk: Walk): void {
    walk.array(this.#numbers)
  }

  keep(at: number, { base, bin, forecast, inputs, candidates }: Known): void {
    const numbers = this.#numbers
    const first = (at * SIZE) % numbers.length
    numbers.set(inputs, first)
    numbers.set(candidates, first + FEATURES)
    numbers[first + BASE] = base
    numbers[first + BIN] = bin
    numbers[first + FORECAST] = forecast
  }

  recall(at: number, into: Known): void {
    const numbers = this.#numbers
    const first = (at * SIZE) % numbers.length
    for (let i = 0; i < FEATURES; i++) into.inputs[i] = numbers[first + i] ?? 0
    for (let i = 0; i < CANDIDATES; i++) into.candidates[i] = numbers[first + FEATURES + i] ?? NaN
    into.base = numbers[first + BASE] ?? NaN
    into.bin = (numbers[first + BIN] ?? 0) | 0
    into.forecast = numbers[first + FORECAST] ?? NaN
  }
}
