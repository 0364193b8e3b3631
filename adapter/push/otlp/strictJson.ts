import type { Field, Type } from 'protobufjs'

/**
 * Throws a `TypeError` that names the first field whose value is not what proto3's JSON mapping has for it.
 * Without this a text that is no number would be read as 0. Fields that are not known are nobody's business.
 * Gives how many objects there are, with a tenth of the values in lists. Throws a `RangeError` where it is more than
 * `most`.
 */
export function checkJson(type: Type, value: unknown, most: number): number {
  const budget = { left: most }
  checkObject(type, value, '', budget)
  if (budget.left < 0) throw new RangeError(`more than ${most} parts in one: send smaller batches`)
  return most - budget.left
}

interface Budget {
  left: number
}

function checkObject(type: Type, value: unknown, path: string, budget: Budget): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw mismatch(path === '' ? 'the body' : path, 'an object')
  budget.left -= 1
  for (const field of type.fieldsArray) {
    const { name, repeated } = field
    if (!Object.hasOwn(value, name)) continue
    const told: unknown = (value as Record<string, unknown>)[name]
    const at = path === '' ? name : `${path}.${name}`
    // As the mapping has it: null is a field that is left out.
    if (told === null) continue
    if (!repeated) checkOne(field, told, at, budget)
    else if (!Array.isArray(told)) throw mismatch(at, 'a list')
    else
      for (const one of told) {
        if (budget.left < 0) return
        budget.left -= 0.1
        checkOne(field, one, at, budget)
      }
  }
}

function checkOne(field: Field, value: unknown, at: string, budget: Budget): void {
  const { resolvedType } = field.resolve()
  if (resolvedType !== null && 'fieldsArray' in resolvedType)
    return checkObject(resolvedType, value, at, budget)
  const form = FORMS[resolvedType === null ? field.type : 'enum'] ?? FORMS['string']
  if (form?.fits(value) === false) throw mismatch(at, form.name)
}

interface Form {
  readonly name: string
  fits(value: unknown): boolean
}

const whole = (pattern: RegExp, name: string): Form => ({
  name,
  fits: (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && pattern.test(BigInt(value).toString())
      : typeof value === 'string' && pattern.test(value),
})
const SIGNED = whole(/^-?[0-9]{1,19}$/, 'a whole number')
const UNSIGNED = whole(/^[0-9]{1,20}$/, 'a whole number from 0')
const DECIMAL = /^(?:-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|-?Infinity)$/

const FORMS: Readonly<Record<string, Form>> = {
  string: { name: 'a text', fits: (value) => typeof value === 'string' },
  bytes: { name: 'a text', fits: (value) => typeof value === 'string' },
  bool: { name: 'true or false', fits: (value) => typeof value === 'boolean' },
  double: {
    name: 'a number',
    fits: (value) =>
      typeof value === 'number' || (typeof value === 'string' && DECIMAL.test(value)),
  },
  // A name that is not known is that of nothing, as a number is.
  enum: {
    name: 'the number of an enumeration',
    fits: (value) => Number.isInteger(value) || typeof value === 'string',
  },
  int64: SIGNED,
  sfixed64: SIGNED,
  fixed64: UNSIGNED,
  uint32: UNSIGNED,
  int32: SIGNED,
}

function mismatch(at: string, name: string): TypeError {
  return new TypeError(`${at} must be ${name}`)
}
