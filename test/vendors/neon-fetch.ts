/** In place of node-fetch, by which one test makes sure that any other `fetch` can be handed in. */
export default (...args: Parameters<typeof fetch>): Promise<Response> => fetch(...args)
