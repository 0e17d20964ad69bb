//! Decoders of what the login host and SharePoint's sign-in pages answer.

use super::{adfs, cookies, oauth, realm, refusal, wstrust, xml};
use crate::testing::Decoder;

const REALMS: [&str; 3] = [
    r#"{"State":3,"NameSpaceType":"Federated","AuthURL":"https://sts.fabrikam.com/adfs/ls/?x=1"}"#,
    r#"{"NameSpaceType":"Managed"}"#,
    "<RealmInfo Success=\"true\"><NameSpaceType>Federated</NameSpaceType>\
     <STSAuthURL>https://sts.fabrikam.com/adfs/services/trust/2005/usernamemixed</STSAuthURL></RealmInfo>",
];

const SIGN_INS: [&str; 3] = [
    "<S:Envelope xmlns:S='s'><S:Body><w:RequestSecurityTokenResponse xmlns:w='t'>\
     <w:Lifetime xmlns:u='u'><u:Created>2026-01-10T08:00:00Z</u:Created><u:Expires>2026-01-11T08:00:00Z</u:Expires></w:Lifetime>\
     <w:RequestedSecurityToken><o:BinarySecurityToken xmlns:o='o'>t=EwX==&amp;p=</o:BinarySecurityToken></w:RequestedSecurityToken>\
     </w:RequestSecurityTokenResponse></S:Body></S:Envelope>",
    "<S:Envelope xmlns:S='s' xmlns:p='p'><S:Body><S:Fault><S:Code><S:Value>S:Sender</S:Value><S:Subcode>\
     <S:Value>wst:FailedAuthentication</S:Value></S:Subcode></S:Code><S:Reason><S:Text>Authentication Failure</S:Text></S:Reason>\
     <S:Detail><p:error><p:value>0x80048821</p:value><p:internalerror><p:code>0x80041012</p:code>\
     <p:text>AADSTS50126: Error validating credentials. Trace ID: 1</p:text></p:internalerror></p:error></S:Detail></S:Fault></S:Body></S:Envelope>",
    "<S:Envelope><S:Header><pp><reqstatus>0x8004882c</reqstatus></pp></S:Header><S:Body><w:RequestSecurityTokenResponse>\
     <w:TokenType>x</w:TokenType></w:RequestSecurityTokenResponse></S:Body></S:Envelope>",
];

const OFFER: &str =
    r#"IDCRL Type="BPOSIDCRL", EndPoint="/_vti_bin/idcrl.svc/", RootDomain="sharepoint.com", Policy="MBI""#;
const COOKIES: &str =
    "FedAuth=77u/PD94; path=/; secure; HttpOnly\nrtFa=abc; domain=sharepoint.com\nSPOIDCRL=IDCRL; path=/";

const ASSERTION: &str = "<s:Envelope xmlns:s='soap'><s:Body><t:R xmlns:t='trust' xmlns:saml='urn:oasis:names:tc:SAML:1.0:assertion'>\
     <saml:Assertion Id='1'><saml:Conditions/></saml:Assertion></t:R></s:Body></s:Envelope>";

const TOKENS: [&str; 2] = [
    r#"{"token_type":"Bearer","expires_in":3599,"access_token":"eyJ.a.b"}"#,
    r#"{"error":"invalid_client","error_description":"AADSTS7000215: no","error_codes":[7000215]}"#,
];

/// All of them.
pub(crate) fn decoders() -> Vec<Decoder> {
    vec![
        Decoder::new("realm discovery", &REALMS, |bytes| {
            realm::parse(&String::from_utf8_lossy(bytes)).is_some()
        }),
        Decoder::new("sign-in answer", &SIGN_INS, |bytes| {
            let answer = String::from_utf8_lossy(bytes);
            let Some(fault) = wstrust::read(&answer) else { return false };
            assert!(!refusal::explain(&fault).error("ann@contoso.example").message().is_empty());
            true
        }),
        Decoder::new("texts of a sign-in answer", &SIGN_INS, |bytes| {
            let Some(texts) = xml::texts(&String::from_utf8_lossy(bytes)) else { return false };
            texts.iter().all(|(_, text)| {
                // What is escaped comes back, if XML can hold it at all.
                let told = xml::texts(&format!("<a>{}</a>", xml::escape(text)));
                told.is_none_or(|told| told[0].1.len() <= text.len())
            })
        }),
        Decoder::new("federation service's answer", &[ASSERTION], |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(assertion) = adfs::cut(&text) else { return false };
            // It goes on as it came.
            assert!(text.contains(assertion.text()) && assertion.security().contains(assertion.text()));
            true
        }),
        Decoder::new("an application's token", &TOKENS, |bytes| match oauth::read(200, bytes) {
            // It becomes a header: nothing in it may end one.
            Ok(token) => token.text.bytes().all(|byte| byte.is_ascii_graphic()),
            Err(why) => !why.message.contains("neither a token"),
        }),
        Decoder::new("offer of the second way", &[OFFER], |bytes| {
            cookies::offer("https://contoso.sharepoint.com", &String::from_utf8_lossy(bytes)).is_some()
        }),
        Decoder::new("cookies", &[COOKIES], |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(picked) = cookies::pick(&text.lines().collect::<Vec<_>>()) else { return false };
            // It becomes a header: nothing in it may end one.
            assert!(!picked.contains(['\r', '\n']));
            true
        }),
    ]
}
