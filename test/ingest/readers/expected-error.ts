/** What a table of bad inputs expects of the error: the fields that are given. */
export interface ExpectedError {
  code: string
  file?: string
  line?: number
  reason?: string | RegExp
}
