//! Cases, statements, payouts, clawback and recovery.

use serde::{Deserialize, Serialize};

use super::Contract;
use crate::id::{BatchId, CaseId, DocumentDigest, FundId, OrderId, PartyId, ProgrammeId};
use crate::money::{BasisPoints, Fen};
use crate::programme::schema::Cause;
use crate::signature::Kid;
use crate::time::NamedPeriod;

payload! {
    /// Opens a case.
    OpenCase {
        /// What for.
        subject: CaseSubject,
    }
    /// Decides a case.
    DecideCase {
        /// Which case.
        case: CaseId,
        /// Yes or no.
        approved: bool,
        /// The amount that the decision supplies, where the programme asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_fen: Option<Fen>,
        /// The digest of the decision.
        basis: DocumentDigest,
        /// Which claims of a compromised key, at most 200; without them all that wait for this office.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claims: Option<Vec<ClaimOf>>,
    }
    /// A claim of an order.
    ClaimOf {
        /// Which order.
        order: OrderId,
        /// Which claim, in stacking order.
        claim: u8,
    }
    /// Withdraws a case.
    WithdrawCase {
        /// Which case.
        case: CaseId,
    }
    /// Closes a settlement period of a party: earned → payable, then netting.
    CloseStatement {
        /// Whose.
        party: PartyId,
        /// Which period.
        period: NamedPeriod,
    }
    /// Instructs the bank: payable → transit.
    InstructPayout {
        /// From which fund.
        fund: FundId,
        /// To whom.
        parties: Vec<PartyId>,
        /// The digest of the payout file.
        file: DocumentDigest,
    }
    /// The bank has paid: transit → paid.
    ExecutePayout {
        /// Which batch.
        batch: BatchId,
    }
    /// The bank has sent it back: transit or paid → payable.
    ReturnPayout {
        /// Which batch.
        batch: BatchId,
    }
    /// Takes back what was paid without right.
    MakeClawback {
        /// Of which order.
        order: OrderId,
        /// Of which claim.
        claim: u8,
        /// Why.
        cause: Cause,
        /// How much of what was granted and paid, where the programme leaves it unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share_bp: Option<BasisPoints>,
        /// The digest of the decision.
        basis: DocumentDigest,
    }
    /// Cash came back: owed → fund or treasury.
    ReceiveRecovery {
        /// From whom.
        party: PartyId,
        /// Into which fund.
        fund: FundId,
        /// How much, > 0.
        fen: Fen,
    }
    /// A debt is given up: owed → paid.
    WriteOff {
        /// Whose.
        party: PartyId,
        /// In which fund.
        fund: FundId,
        /// How much, > 0.
        fen: Fen,
        /// The digest of the decision.
        basis: DocumentDigest,
    }
}

/// What a case is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CaseSubject {
    /// An application for a voucher.
    Application {
        /// Of which programme.
        programme: ProgrammeId,
        /// For which contract.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract: Option<Contract>,
        /// The face asked for, where it is chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        face_fen: Option<Fen>,
        /// The stated purpose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<String>,
    },
    /// A claim of an order whose base is an approved amount.
    Redemption {
        /// Which order.
        order: OrderId,
        /// Which claim.
        claim: u8,
    },
    /// What a compromised key has earned and was frozen; its revocation opens this one.
    Compromise {
        /// Which key.
        kid: Kid,
    },
    /// A party with a compromised key cannot sign with its recovery key: a new key may be registered without.
    Recovery {
        /// Which party.
        party: PartyId,
    },
}

packed_enum!(CaseSubject {
    0 => Application { programme, contract, face_fen, purpose },
    1 => Redemption { order, claim },
    2 => Compromise { kid },
    3 => Recovery { party },
});
