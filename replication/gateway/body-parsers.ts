import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ProblemError } from '../../core/http/problem.ts'
import { maxCopyInstructionsBytes, mediaTypes } from './protocol.ts'
import { openBody, readBody, type BodyCount, type BodyLimits } from './read-body.ts'

/** The parts of an envelope; what the instructions say is for the route's schema to judge. */
export interface BatchBody {
  instructions: unknown
  content: Buffer
}
export interface CopyBody {
  instructions: unknown
  content: Readable
}

type OnBody = (count: BodyCount) => void

/** JSON and nothing else is understood in this context. */
export function acceptJson(app: FastifyInstance, limits: BodyLimits, onBody: OnBody): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(mediaTypes.json, async (request: FastifyRequest) => {
    const bytes = await readBody(request.raw, limits, onBody)
    return parseJson(app, request, bytes)
  })
}

/** A batch's envelope and nothing else is understood in this context. */
export function acceptBatches(app: FastifyInstance, limits: BodyLimits, onBody: OnBody): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(mediaTypes.batch, async (request: FastifyRequest): Promise<BatchBody> => {
    const bytes = await readBody(request.raw, limits, onBody)
    const length = bytes.length < 4 ? bytes.length : bytes.readUInt32BE()
    if (4 + length > bytes.length) throw noEnvelope()
    const instructions = await parseJson(app, request, bytes.subarray(4, 4 + length))
    return { instructions, content: bytes.subarray(4 + length) }
  })
}

/** A COPY's envelope and nothing else; its rows are still under way when the route gets it. */
export function acceptCopies(app: FastifyInstance, limits: BodyLimits, onBody: OnBody): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(mediaTypes.copy, async (request: FastifyRequest): Promise<CopyBody> => {
    const content = openBody(request.raw, limits, onBody)
    try {
      const length = (await readExactly(content, 4)).readUInt32BE()
      if (length > maxCopyInstructionsBytes) throw noEnvelope()
      return { instructions: await parseJson(app, request, await readExactly(content, length)), content }
    } catch (error) {
      content.destroy()
      throw error
    }
  })
}

/** Refuses damaged JSON, and JSON that would reach into the prototypes of our objects. */
async function parseJson(app: FastifyInstance, request: FastifyRequest, bytes: Buffer): Promise<unknown> {
  const parse = app.getDefaultJsonParser('error', 'error')
  return new Promise((resolve, reject) => {
    void parse(request, bytes.toString('utf8'), (error: Error | null, value?: unknown) => {
      // Its message quotes the text.
      if (error === null) resolve(value)
      else reject(new ProblemError(400, 'JSON_INVALID', 'this is not JSON as it is understood here'))
    })
  })
}

async function readExactly(stream: Readable, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let missing = length
  while (missing > 0) {
    const chunk = stream.read() as Buffer | null
    if (chunk === null) {
      if (stream.errored !== null) throw stream.errored
      if (stream.readableEnded || stream.destroyed) throw noEnvelope()
      await moreOrEnd(stream)
      continue
    }
    chunks.push(chunk.subarray(0, missing))
    if (chunk.length > missing) stream.unshift(chunk.subarray(missing))
    missing -= Math.min(missing, chunk.length)
  }
  return Buffer.concat(chunks)
}

/** An end does not always make a stream readable first. @throws what the stream fails with. */
async function moreOrEnd(stream: Readable): Promise<void> {
  const heard = new AbortController()
  try {
    await Promise.race(['readable', 'end'].map((event) => once(stream, event, { signal: heard.signal })))
  } finally {
    heard.abort()
  }
}

function noEnvelope(): ProblemError {
  return new ProblemError(400, 'ENVELOPE_INVALID', 'the body does not start with its instructions')
}
