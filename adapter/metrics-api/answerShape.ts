import type { Labels } from '../../src/model.ts'
import type { CustomVersion } from './paths.ts'
import type { ParsedSelector } from './selector.ts'

/** What the items of an answer to a custom metric share, and the items: ready to be encoded. */
export interface CustomAnswer {
  readonly kind: 'custom'
  readonly version: CustomVersion
  readonly metric: string
  /** Echoed in each item; without requirements it is `null`. */
  readonly selector: ParsedSelector
  readonly object: { readonly kind: string; readonly apiVersion: string }
  /** '' for objects of the whole cluster. */
  readonly namespace: string
  readonly items: readonly CustomItem[]
}

export interface CustomItem {
  readonly name: string
  readonly value: number
  /** When the data was true. */
  readonly dataMs: number
  /** Span the value was computed over; 0 for an instant. */
  readonly windowMs: number
}

export interface ExternalAnswer {
  readonly kind: 'external'
  readonly metric: string
  readonly items: readonly ExternalItem[]
}

export interface ExternalItem extends Omit<CustomItem, 'name'> {
  readonly labels: Labels
}

/** Windows are told in whole seconds; a shorter one is still a window. */
export function windowSeconds(windowMs: number): number {
  return windowMs <= 0 ? 0 : Math.max(1, Math.round(windowMs / 1000))
}
