/** Elements of the page that are there from the beginning. @module */

/**
 * The element of this id.
 *
 * @throws where the page has none of this kind
 */
export function byId<E extends HTMLElement>(id: string, kind: new () => E): E {
  const element = document.getElementById(id)
  if (element instanceof kind) return element
  throw new Error(`The page has no ${kind.name} of id ${id}`)
}
