//! Short forms of first names that share few letters with the name they stand for.
//!
//! Prefixes (`dan` for `daniel`) are near by spelling and not listed. The list is English, as the commonest source of such
//! pairs; names of other languages compare by spelling alone.

/// Whether one name is a short form of the other.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    (may_stand_for(a, b) || may_stand_for(b, a))
        && (full_names(a).any(|full| full == b) || full_names(b).any(|full| full == a))
}

/// Spares the search for nearly all pairs: does any short form with this first letter stand for a name with that one?
fn may_stand_for(short: &[u8], full: &[u8]) -> bool {
    let letter = |word: &[u8]| word.first().map_or(31, |byte| byte & 31);
    FIRST_LETTERS[usize::from(letter(short))] >> letter(full) & 1 == 1
}

/// Per first letter of a short form, the first letters of its names, one bit each.
const FIRST_LETTERS: [u32; 32] = {
    let mut letters = [0; 32];
    let mut at = 0;
    while at < NICKNAMES.len() {
        let (short, full) = NICKNAMES[at];
        letters[(short.as_bytes()[0] & 31) as usize] |= 1 << (full.as_bytes()[0] & 31);
        at += 1;
    }
    letters
};

fn full_names(short: &[u8]) -> impl Iterator<Item = &'static [u8]> {
    let start = NICKNAMES.partition_point(|entry| entry.0.as_bytes() < short);
    let own = NICKNAMES
        .iter()
        .skip(start)
        .take_while(move |entry| entry.0.as_bytes() == short);
    own.map(|entry| entry.1.as_bytes())
}

/// (short form, name), sorted by short form.
#[rustfmt::skip]
const NICKNAMES: [(&str, &str); 174] = [
    ("abby", "abigail"), ("al", "albert"), ("alec", "alexander"), ("alfie", "alfred"), ("andy", "andrew"),
    ("babs", "barbara"), ("becca", "rebecca"), ("becky", "rebecca"), ("bella", "isabella"), ("benny", "benjamin"),
    ("bernie", "bernard"), ("bert", "albert"), ("bert", "robert"), ("bertie", "albert"), ("bess", "elizabeth"),
    ("beth", "elizabeth"), ("betsy", "elizabeth"), ("betty", "elizabeth"), ("bill", "william"),
    ("billy", "william"), ("bob", "robert"), ("bobby", "robert"), ("bridie", "bridget"), ("cathy", "catherine"),
    ("charlie", "charles"), ("charlie", "charlotte"), ("chas", "charles"), ("chrissy", "christina"),
    ("chrissy", "christine"), ("chuck", "charles"), ("cindy", "cynthia"), ("danny", "daniel"), ("dave", "david"),
    ("davey", "david"), ("debbie", "deborah"), ("denny", "dennis"), ("dick", "richard"), ("dolly", "dorothy"),
    ("donnie", "donald"), ("dot", "dorothy"), ("dottie", "dorothy"), ("drew", "andrew"), ("ed", "edward"),
    ("eddie", "edward"), ("ellie", "eleanor"), ("em", "emily"), ("emmy", "emily"), ("fanny", "frances"),
    ("flossie", "florence"), ("frank", "francis"), ("fred", "alfred"), ("freddie", "frederick"),
    ("gabe", "gabriel"), ("gail", "abigail"), ("gene", "eugene"), ("georgie", "george"), ("gerry", "gerald"),
    ("ginny", "virginia"), ("hal", "harold"), ("hal", "henry"), ("hank", "henry"), ("harry", "harold"),
    ("harry", "henry"), ("hattie", "harriet"), ("izzy", "isabella"), ("jack", "john"), ("jackie", "jacqueline"),
    ("jake", "jacob"), ("jamie", "james"), ("jeff", "geoffrey"), ("jenny", "jennifer"), ("jerry", "gerald"),
    ("jessie", "jessica"), ("jim", "james"), ("jimmy", "james"), ("joe", "joseph"), ("joey", "joseph"),
    ("johnny", "john"), ("jonny", "jonathan"), ("judy", "judith"), ("kate", "catherine"), ("kate", "katherine"),
    ("kathy", "catherine"), ("kathy", "katherine"), ("katie", "catherine"), ("katie", "katherine"),
    ("kay", "katherine"), ("kenny", "kenneth"), ("kit", "christopher"), ("kitty", "catherine"),
    ("kitty", "katherine"), ("larry", "laurence"), ("larry", "lawrence"), ("len", "leonard"), ("lenny", "leonard"),
    ("lexie", "alexandra"), ("liam", "william"), ("libby", "elizabeth"), ("liv", "olivia"), ("liz", "elizabeth"),
    ("lizzie", "elizabeth"), ("lottie", "charlotte"), ("maddie", "madeline"), ("madge", "margaret"),
    ("maggie", "margaret"), ("mamie", "mary"), ("marge", "margaret"), ("marty", "martin"), ("mattie", "martha"),
    ("meg", "margaret"), ("mick", "michael"), ("mickey", "michael"), ("mike", "michael"), ("molly", "mary"),
    ("nate", "nathaniel"), ("ned", "edward"), ("nell", "eleanor"), ("nick", "nicholas"), ("nicky", "nicholas"),
    ("nicky", "nicole"), ("nora", "eleanor"), ("ollie", "oliver"), ("paddy", "patrick"), ("patty", "martha"),
    ("patty", "patricia"), ("peg", "margaret"), ("peggy", "margaret"), ("penny", "penelope"), ("pip", "philip"),
    ("pippa", "philippa"), ("polly", "mary"), ("reggie", "reginald"), ("richie", "richard"), ("rick", "richard"),
    ("ricky", "richard"), ("robbie", "robert"), ("ronnie", "ronald"), ("rosie", "rosemary"), ("sadie", "sarah"),
    ("sally", "sarah"), ("sammy", "samuel"), ("sandra", "alexandra"), ("sandy", "alexander"), ("shaz", "sharon"),
    ("shelly", "michelle"), ("steve", "stephen"), ("sue", "susan"), ("sue", "susanna"), ("susie", "susan"),
    ("susie", "susanna"), ("ted", "edward"), ("ted", "theodore"), ("teddy", "edward"), ("teddy", "theodore"),
    ("terry", "terence"), ("terry", "theresa"), ("tess", "theresa"), ("tessa", "theresa"), ("tilly", "matilda"),
    ("tina", "christina"), ("tina", "christine"), ("tom", "thomas"), ("tommy", "thomas"), ("toni", "antonia"),
    ("tony", "anthony"), ("topher", "christopher"), ("tori", "victoria"), ("tricia", "patricia"),
    ("trish", "patricia"), ("vicky", "victoria"), ("wally", "walter"), ("willy", "william"),
    ("xander", "alexander"), ("zack", "zachary"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(NICKNAMES.is_sorted());
    }

    #[test]
    fn short_forms_meet_their_names() {
        assert!(
            same(b"bill", b"william") && same(b"margaret", b"peggy") && same(b"ted", b"theodore")
        );
        assert!(!same(b"bill", b"robert") && !same(b"smith", b"jones"));
    }
}
