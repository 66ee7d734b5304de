// Loaded before a child's own code (--import): ends the child when its parent is gone, however it went,
// because then the channel between them closes. The child's own shutdown runs first, for a while.
const shutdownMs = 5_000

process.once('disconnect', () => {
  process.kill(process.pid, 'SIGTERM')
  setTimeout(() => process.exit(1), shutdownMs).unref()
})
// The channel alone must not keep a child alive that is done.
process.channel?.unref()
