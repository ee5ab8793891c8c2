/** The limits of the port that the operator sets. */
export type PortLimits = Readonly<{
  /** Maximum number of open connections. */
  maxConnections: number;
  /** Calls that one HTTP/2 connection may cancel each second; ten times as many at once. */
  maxCancels: number;
  /** Maximum bytes of all requests under way; one connection gets half. */
  requestMemory: number;
  /** Maximum bytes of all answers that callers have not read yet; one connection gets half. */
  answerMemory: number;
}>;

/** Maximum size of a message in bytes, compressed or not. */
export const maxMessageBytes = 4 * 2 ** 20;
/** Maximum size of the headers of a request, in bytes. */
export const maxHeaderBytes = 32_768;
/** Maximum number of headers of a request. */
export const maxHeaders = 128;
/** Maximum number of open calls on one HTTP/2 connection. */
export const maxStreams = 1_000;
/** Maximum number of open streams of health and reflection. */
export const maxOwnStreams = 10_000;
export const maxOwnStreamsOfConnection = 100;
/** Maximum size of a request of reflection, which holds a name. */
export const maxReflectionBytes = 16_384;
/** A caller that takes no piece of its answer for this time is cut. */
export const maxUnreadMs = 60_000;
/** Long answers are sent in pieces of this size: the next when the one before has been taken. */
export const pieceBytes = 64 * 2 ** 10;
