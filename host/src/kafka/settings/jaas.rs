//! `sasl.jaas.config`: a login module with its options, in the syntax of Java's login configurations.
//!
//! Read as Java reads it, with comments, quotes and escapes. Errors never repeat what stands in it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Who logs in with which password.
#[derive(PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

/// Reads a login of one of the modules that have a user name and a password.
pub(super) fn parse(text: &str) -> Result<Login, String> {
    let mut tokens = Tokens(text.chars().peekable());
    let Some(Token::Word(module)) = tokens.next()? else {
        return Err(format!("must name a login module, as {EXAMPLE}"));
    };
    known(&module)?;
    match tokens.next()? {
        Some(Token::Word(flag))
            if ["required", "requisite", "sufficient", "optional"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&flag)) => {}
        _ => return Err(format!("must have the word required after the login module, as {EXAMPLE}")),
    }
    let mut options = options(&mut tokens)?;
    if tokens.next()?.is_some() {
        return Err("must contain one login module, not several".to_owned());
    }
    if options.get("tokenauth").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err("logs in with a delegation token, which is not possible yet; use a password".to_owned());
    }
    let mut take = |name: &str| options.remove(name).ok_or_else(|| format!("must have {name}, as {EXAMPLE}"));
    Ok(Login { username: take("username")?, password: take("password")? })
}

pub(super) const EXAMPLE: &str =
    "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"...\" password=\"...\";";

fn known(module: &str) -> Result<(), String> {
    match module.rsplit('.').next() {
        Some("PlainLoginModule" | "ScramLoginModule") => Ok(()),
        Some("Krb5LoginModule") => {
            Err("there is no login with Kerberos; use PlainLoginModule or ScramLoginModule".to_owned())
        }
        Some("OAuthBearerLoginModule") => {
            Err("there is no login with OAuth yet; use PlainLoginModule or ScramLoginModule".to_owned())
        }
        _ => Err("the login module must be PlainLoginModule or ScramLoginModule of \
                  org.apache.kafka.common.security"
            .to_owned()),
    }
}

/// Up to the semicolon.
fn options(tokens: &mut Tokens<'_>) -> Result<BTreeMap<String, String>, String> {
    let mut options = BTreeMap::new();
    loop {
        match tokens.next()? {
            Some(Token::Sign(';')) => return Ok(options),
            Some(Token::Word(name)) => {
                let Some(Token::Sign('=')) = tokens.next()? else {
                    return Err("must have = after the name of each option".to_owned());
                };
                let Some(Token::Word(value)) = tokens.next()? else {
                    return Err("must have a value, best in double quotes, after each =".to_owned());
                };
                let _ = options.insert(name, value);
            }
            Some(Token::Sign(_)) => {
                return Err(
                    "has a character outside of quotes that does not belong there; values with special \
                            characters need double quotes"
                        .to_owned(),
                );
            }
            None => return Err("must end in a semicolon".to_owned()),
        }
    }
}

enum Token {
    Word(String),
    Sign(char),
}

struct Tokens<'a>(Peekable<Chars<'a>>);

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, String> {
        loop {
            let Some(c) = self.0.next() else { return Ok(None) };
            match c {
                c if c.is_whitespace() => {}
                '/' if self.0.next_if_eq(&'/').is_some() => while self.0.next_if(|c| *c != '\n').is_some() {},
                '/' if self.0.next_if_eq(&'*').is_some() => self.skip_comment()?,
                '"' | '\'' => return self.quoted(c).map(Some),
                c if is_word(c) => {
                    let mut word = String::from(c);
                    while let Some(c) = self.0.next_if(|c| is_word(*c)) {
                        word.push(c);
                    }
                    return Ok(Some(Token::Word(word)));
                }
                c => return Ok(Some(Token::Sign(c))),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), String> {
        let mut last = ' ';
        for c in self.0.by_ref() {
            if (last, c) == ('*', '/') {
                return Ok(());
            }
            last = c;
        }
        Err("has a comment without an end".to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<Token, String> {
        let mut text = String::new();
        loop {
            match self.0.next() {
                None | Some('\n' | '\r') => return Err("has a quote without an end".to_owned()),
                Some(c) if c == quote => return Ok(Token::Word(text)),
                Some('\\') => text.push(self.escaped()?),
                Some(c) => text.push(c),
            }
        }
    }

    /// As Java's tokenizer has it: letters for control characters, octal digits, else the character itself.
    fn escaped(&mut self) -> Result<char, String> {
        Ok(match self.0.next() {
            None => return Err("has a quote without an end".to_owned()),
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some(first @ '0'..='7') => {
                let mut code = first as u8 - b'0';
                // Up to \377: three digits only after a small first one.
                for _ in 0..if first <= '3' { 2 } else { 1 } {
                    let Some(digit) = self.0.next_if(|c| ('0'..='7').contains(c)) else { break };
                    code = code * 8 + (digit as u8 - b'0');
                }
                char::from(code)
            }
            Some(c) => c,
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '$') || c as u32 >= 0xA0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

    fn login(text: &str) -> (String, String) {
        let login = parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
        (login.username, login.password)
    }

    #[test]
    fn a_login_is_read_as_java_reads_it() {
        let is = |text: &str, username: &str, password: &str| {
            assert_eq!(login(text), (username.to_owned(), password.to_owned()), "{text}");
        };
        is(&format!("{PLAIN} required username=\"u\" password=\"p\";"), "u", "p");
        is(&format!("{PLAIN}\n  REQUIRED\n  password='p=;\"'\n  username = u-1 ;"), "u-1", "p=;\"");
        is(
            &format!("{PLAIN} required username=\"a\\\"b\" password=\"\\\\ \\101\\t\\$\";"),
            "a\"b",
            "\\ A\t$",
        );
        is(&format!("// x\n{PLAIN} /* ; */ required username=u password=p // end\n;"), "u", "p");
        is(
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"ü\" password=\"\";",
            "ü",
            "",
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let wrong = |text: &str, reason: &str| {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        wrong("", "must name a login module");
        wrong("com.sun.security.auth.module.Krb5LoginModule required;", "Kerberos");
        wrong(
            "com.sun.security.auth.module.JndiLoginModule required x=\"hunter2\";",
            "must be PlainLoginModule",
        );
        wrong(&format!("{PLAIN} username=\"u\" password=\"hunter2\";"), "required after");
        wrong(&format!("{PLAIN} required username=\"u\" password=\"hunter2\""), "semicolon");
        wrong(&format!("{PLAIN} required username=\"u\" password=\"hunter2;"), "quote without an end");
        wrong(&format!("{PLAIN} required username=\"u\";"), "must have password");
        wrong(&format!("{PLAIN} required username=u password=hunter2#;"), "need double quotes");
        wrong(&format!("{PLAIN} required username=u password=p; {PLAIN} required;"), "not several");
        wrong(&format!("{PLAIN} required username=u password=p tokenauth=true;"), "delegation token");
    }
}
