-- What this client was answered last, if this call has run before, else nil. A client repeats a
-- call whose reply was cut off under the same number; a call that Redis held back for long may
-- even come after the next one.
local last = call('GET', last_call)
local before = last
if before and tonumber(ARGV[1]) > tonumber(string.match(before, '^%d+')) then
  before = nil
end
