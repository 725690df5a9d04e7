/** Values in Neon's protocol. @module */

/**
 * Converts a parameter to PostgreSQL's text format: text as it is, a list as an array of PostgreSQL, anything else as
 * JSON.
 */
export function toParameter(value: unknown): string | null {
  if (value === null || typeof value === 'string') return value
  return Array.isArray(value) ? toArray(value) : JSON.stringify(value)
}

const toArray = (values: readonly unknown[]): string =>
  `{${values
    .map((value) =>
      value === null
        ? 'NULL'
        : Array.isArray(value)
          ? toArray(value)
          : JSON.stringify(typeof value === 'object' ? JSON.stringify(value) : value),
    )
    .join(',')}}`

/**
 * Converts a value from PostgreSQL's text format to JSON: numbers, booleans and documents. 64-bit integers and decimals
 * stay text.
 *
 * @param type - the OID of its type
 */
export function toJson(value: string, type: number): unknown {
  if (type === 16) return value === 't'
  if ([21, 23, 700, 701].includes(type)) return Number.isFinite(Number(value)) ? Number(value) : value
  return type === 114 || type === 3802 ? JSON.parse(value) : value
}
