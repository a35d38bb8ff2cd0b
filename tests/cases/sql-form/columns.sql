CREATE VIEW people AS SELECT * FROM read_csv('in/people.csv');
CREATE VIEW a (nr) AS SELECT id FROM people;
COPY a TO 'x.csv'
