/** Finds the static elements of the page. @module */

/**
 * Returns the element with this id.
 *
 * @throws if the page has no such element
 */
export function byId<E extends HTMLElement>(id: string, kind: new () => E): E {
  const element = document.getElementById(id)
  if (element instanceof kind) return element
  throw new Error(`The page has no ${kind.name} of id ${id}`)
}
