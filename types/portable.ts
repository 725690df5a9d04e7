/**
 * Fails the type check when a host's globals leak into the portable sources, for example through a package whose
 * declarations pull in Node's.
 */

// @ts-expect-error Node only
void process
// @ts-expect-error browsers only
void document
