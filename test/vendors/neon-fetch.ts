/** In place of node-fetch, by which one test makes sure that any other `fetch` can be handed in. */
// oxlint-disable-next-line import/no-default-export -- it stands in for one
export default (...args: Parameters<typeof fetch>): Promise<Response> => fetch(...args)
