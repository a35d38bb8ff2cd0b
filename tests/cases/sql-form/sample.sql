CREATE VIEW people AS SELECT * FROM read_csv('in/people.csv');
CREATE VIEW a AS SELECT * FROM people TABLESAMPLE (10 PERCENT);
COPY a TO 'x.csv'
