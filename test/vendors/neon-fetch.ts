/** In place of node-fetch, by which one test makes sure that any other `fetch` can be handed in. */
// oxlint-disable-next-line import/no-default-export -- Whoever imports node-fetch takes its default export.
export default (...args: Parameters<typeof fetch>): Promise<Response> => fetch(...args)
