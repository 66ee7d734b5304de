import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { errorCode } from '../errors.ts'
import { problem, problemType } from './problem.ts'

const refusals: Readonly<Record<string, readonly [status: number, code: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'HEADERS_TOO_LARGE', 'the address and the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'REQUEST_TIMEOUT', 'the request did not arrive in time'],
}

/**
 * Answers what is not HTTP, or never becomes a whole request, like every other refusal, and hangs up. The
 * error, which holds the bytes that came, goes nowhere.
 */
export function refuseConnection(error: Error, socket: Socket): void {
  const code = errorCode(error)
  if (code === 'ECONNRESET' || socket.destroyed) return
  const [status, reason, detail] = refusals[code ?? ''] ?? [
    400,
    'REQUEST_INVALID',
    'this is not an HTTP request',
  ]
  const body = JSON.stringify(problem(status, reason, detail))
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${problemType}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}
