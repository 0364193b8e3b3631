import type { Walk } from './walk.ts'

/** Regularises the first steps of the adaptive rate. */
const FIRST_SQUARE = 1e-2
const FORGET = 0.99995
const RATE = 0.01
const BIN_RATE = 0.02

/** Pinball loss of a residual `y − forecast` at quantile `tau`: least in expectation at the true quantile. */
export function pinball(residual: number, tau: number): number {
  return residual > 0 ? tau * residual : (tau - 1) * residual
}

/**
 * Linear quantile regression, learned online: w ← w − η g/√(Σ g²) with g the subgradient of the pinball loss
 * (Koenker and Bassett 1978; AdaGrad, Duchi et al. 2011, with a slow forgetting of Σ g²).
 */
export class QuantileRegression {
  /**
   * Weights of the inputs, and after them a term of its own for each of `bins` cases that exclude each other; then,
   * in the same order, the sums of squares.
   */
  readonly #numbers: Float64Array
  readonly #tau: number
  readonly #size: number
  /** Where the sums of squares begin. */
  readonly #squares: number

  constructor(size: number, tau: number, bins = 0) {
    this.#tau = tau
    this.#size = size
    this.#squares = size + bins
    this.#numbers = new Float64Array(2 * this.#squares).fill(FIRST_SQUARE, this.#squares)
  }

  visit(walk: Walk): void {
    walk.array(this.#numbers)
  }

  /** What an input weighs before anything is learned. */
  begin(input: number, weight: number): void {
    this.#numbers[input] = weight
  }

  predict(inputs: Float64Array, bin?: number): number {
    const numbers = this.#numbers
    const size = this.#size
    let sum = bin === undefined ? 0 : (numbers[size + bin] ?? 0)
    for (let i = 0; i < size; i++) sum += (numbers[i] ?? 0) * (inputs[i] ?? 0)
    return sum
  }

  learn(outcome: number, inputs: Float64Array, bin?: number): void {
    const size = this.#size
    const gradient = outcome > this.predict(inputs, bin) ? -this.#tau : 1 - this.#tau
    if (bin !== undefined) this.#descend(size + bin, gradient, BIN_RATE)
    for (let i = 0; i < size; i++) {
      const input = inputs[i] ?? 0
      if (input !== 0) this.#descend(i, gradient * input, RATE)
    }
  }

  #descend(i: number, gradient: number, rate: number): void {
    const numbers = this.#numbers
    const s = this.#squares + i
    const square = (numbers[s] ?? 0) * FORGET + gradient * gradient
    numbers[s] = square
    numbers[i] = (numbers[i] ?? 0) - (rate * gradient) / Math.sqrt(square + 1e-8)
  }
}
