-- name: adults
CREATE VIEW people AS SELECT * FROM read_csv('in/people.csv', with_header => true);

-- Nobody younger.
CREATE VIEW adults AS
SELECT id, name FROM people WHERE age >= 36;

COPY adults TO 'out' (FORMAT csv);
