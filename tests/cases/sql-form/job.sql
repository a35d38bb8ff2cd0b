-- name: ordered
CREATE VIEW people AS SELECT * FROM read_csv('in/people.csv');
CREATE VIEW orders AS SELECT * FROM read_csv('in/orders.csv', separator => 'comma');
CREATE VIEW totals AS
  WITH paid AS (SELECT person, sum(amount) AS amount FROM orders GROUP BY person)
  SELECT id, "first name", amount FROM people JOIN paid ON person = id ORDER BY id;
COPY totals TO 'totals' (FORMAT parquet);
COPY (SELECT count(*) AS n FROM totals) TO 'count.csv';
