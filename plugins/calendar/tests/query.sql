select b.room, c.* from input b, lateral calendar(b.arrival, b.departure) c order by b.room, c.date
