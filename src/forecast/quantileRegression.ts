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
  readonly weights: Float64Array
  readonly #squares: Float64Array
  readonly #tau: number

  /** A term of its own for each of `bins` cases that exclude each other. */
  readonly #terms: Float64Array
  readonly #termSquares: Float64Array

  constructor(size: number, tau: number, bins = 0) {
    this.#terms = new Float64Array(bins)
    this.#termSquares = new Float64Array(bins).fill(FIRST_SQUARE)
    this.#tau = tau
    this.weights = new Float64Array(size)
    this.#squares = new Float64Array(size).fill(FIRST_SQUARE)
  }

  visit(walk: Walk): void {
    walk.array(this.weights)
    walk.array(this.#squares)
    walk.array(this.#terms)
    walk.array(this.#termSquares)
  }

  predict(inputs: Float64Array, bin: number): number {
    const { weights } = this
    let sum = bin < this.#terms.length ? (this.#terms[bin] ?? 0) : 0
    for (let i = 0; i < weights.length; i++) sum += (weights[i] ?? 0) * (inputs[i] ?? 0)
    return sum
  }

  learn(inputs: Float64Array, bin: number, outcome: number): void {
    const { weights } = this
    const squares = this.#squares
    const gradient = outcome > this.predict(inputs, bin) ? -this.#tau : 1 - this.#tau
    if (bin < this.#terms.length) {
      const square = (this.#termSquares[bin] ?? 0) * FORGET + gradient * gradient
      this.#termSquares[bin] = square
      this.#terms[bin] = (this.#terms[bin] ?? 0) - (BIN_RATE * gradient) / Math.sqrt(square + 1e-8)
    }
    for (let i = 0; i < weights.length; i++) {
      const g = gradient * (inputs[i] ?? 0)
      if (g === 0) continue
      const square = (squares[i] ?? 0) * FORGET + g * g
      squares[i] = square
      weights[i] = (weights[i] ?? 0) - (RATE * g) / Math.sqrt(square + 1e-8)
    }
  }
}
