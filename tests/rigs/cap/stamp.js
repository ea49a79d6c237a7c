// A stamp for ETags that never repeats, and the list of effects that tests count in.
let last = 0
const effects = []
exports.effects = effects
exports.stamp = () => {
  last = Math.max(last + 1, Date.now() * 1000)
  return String(last)
}
exports.effect = (req, what, key) => {
  const headers = req.http?.req?.headers || {}
  // Counted when its transaction is kept: of a group that failed, nothing is an effect.
  const at = new Date().toISOString()
  req.on('succeeded', () => effects.push({ what, key, account: req.user?.id, request: headers.requestid || '', at }))
}
