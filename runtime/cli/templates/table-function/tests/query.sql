select t.id, w.word, w.position from input t, lateral words(t.text) w order by t.id, w.position
