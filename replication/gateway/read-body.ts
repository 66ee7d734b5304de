import type { IncomingMessage } from 'node:http'
import { performance } from 'node:perf_hooks'
import { PassThrough, Transform, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ProblemError } from '../../core/http/problem.ts'

export interface BodyLimits {
  /** on the wire, and after unpacking */
  maxBytes: number
  /** A sender may be this slow on average, after `graceMs` of nothing. The time in which we do not read does not count. */
  minBytesPerSecond: number
  graceMs: number
}

/** What came in, for the metrics. */
export interface BodyCount {
  wireBytes: number
  plainBytes: number
}

const watchEveryMs = 250

/**
 * The body of a request as a stream, unpacked where it came as gzip. It ends only when the whole body was
 * there and whole; else it fails: 413 past the limit (counted after unpacking, as it goes, so that a bomb
 * ends early), 408 for a sender that is too slow, 400 for damaged gzip or a request that was cut off, 415 for
 * another encoding. The connection is left open, so that the refusal can be sent.
 */
export function openBody(
  request: IncomingMessage,
  limits: BodyLimits,
  onEnd: (count: BodyCount) => void = () => undefined,
): Readable {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding !== 'gzip' && encoding !== 'identity') {
    throw new ProblemError(415, 'ENCODING_UNSUPPORTED', 'a body comes as it is, or as gzip')
  }
  if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) throw tooLarge(limits.maxBytes)
  const count: BodyCount = { wireBytes: 0, plainBytes: 0 }
  const unpack = encoding === 'gzip' ? createGunzip() : new PassThrough()
  const plain = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count.plainBytes += chunk.length
      done(count.plainBytes > limits.maxBytes ? tooLarge(limits.maxBytes) : null, chunk)
    },
    flush(done) {
      onEnd(count)
      done()
    },
  })
  const watch = watchSpeed()
  plain.once('close', release)
  // An error that nobody listens to any more must not end the process.
  plain.on('error', () => undefined)
  unpack.on('error', () => fail(new ProblemError(400, 'BODY_DAMAGED', 'the gzip of the body is damaged')))
  unpack.on('drain', () => request.resume())
  unpack.pipe(plain)
  request.on('data', take).on('end', end).on('error', cut).on('close', cut)
  return plain

  function take(chunk: Buffer): void {
    count.wireBytes += chunk.length
    if (count.wireBytes > limits.maxBytes) return fail(tooLarge(limits.maxBytes))
    if (!unpack.write(chunk)) request.pause()
  }

  function end(): void {
    clearInterval(watch)
    unpack.end()
  }

  function cut(): void {
    if (!request.complete) fail(new ProblemError(400, 'BODY_CUT', 'the request ended before its body'))
  }

  function fail(error: Error): void {
    unpack.destroy()
    plain.destroy(error)
  }

  function release(): void {
    clearInterval(watch)
    request.off('data', take).off('end', end).off('error', cut).off('close', cut)
    request.on('error', () => undefined)
    // What still comes is read and forgotten.
    request.resume()
  }

  function watchSpeed(): NodeJS.Timeout {
    let waitedMs = 0
    let lastMs = performance.now()
    return setInterval(() => {
      const nowMs = performance.now()
      if (!request.isPaused() && request.readableLength === 0) waitedMs += nowMs - lastMs
      lastMs = nowMs
      const allowedMs = limits.graceMs + (count.wireBytes / limits.minBytesPerSecond) * 1000
      if (waitedMs > allowedMs) fail(new ProblemError(408, 'BODY_TOO_SLOW', 'the body comes too slowly'))
    }, watchEveryMs)
  }
}

/** The whole body in memory; fails as {@link openBody} does. */
export async function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  onEnd?: (count: BodyCount) => void,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of openBody(request, limits, onEnd)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError(413, 'BODY_TOO_LARGE', `a body may have ${maxBytes} bytes, unpacked`)
}
